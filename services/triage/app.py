"""The web application and the process that serves it."""

import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import psycopg
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from services.context import Context
from services.errors import SettingsError, StoreAway
from services.languages import gettext, mark
from services.languages.speaking import look_up
from services.operations.heartbeat import Heartbeat
from services.triage import (
    api,
    audit_trail,
    before_after,
    burden,
    claiming,
    finding,
    language,
    pages,
    pictures,
    shift,
    sign_in,
    single_sign_on,
    viewer,
)
from services.triage.guard import Guard
from services.triage.live import LiveFeed
from services.triage.programs import Programs
from services.triage.provider import Provider
from services.triage.sessions import FailureBrake, Sessions, load_key
from services.triage.site import Extension, Site, error_response, log_failure, make_templates

SHUTDOWN_S = 3

_TITLES = {
    401: mark("Sign in first"),
    403: mark("Not allowed"),
    404: mark("Nothing here"),
    405: mark("Not possible"),
    409: mark("Already taken"),
}


def create_app(context: Context, extensions: Sequence[Extension] = ()) -> FastAPI:
    """The application: pages, API and live stream over one ledger, and what other parts bring.

    Raises:
        SettingsError: data_dir cannot keep the sign-in key.
    """
    key, sign_on = load_key(context.settings), context.settings.web.sign_on
    site = Site(
        context=context,
        sessions=Sessions(key, timedelta(hours=context.settings.web.session_hours)),
        brake=FailureBrake(context.now),
        feed=LiveFeed(context.pool),
        templates=make_templates(*(each.templates for each in extensions if each.templates is not None)),
        study_links=tuple(link for each in extensions for link in each.study_links),
        provider=None if sign_on is None else Provider(sign_on, key),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        site.feed.start()
        try:
            yield
        finally:
            site.feed.close()

    app = FastAPI(
        title="Nightjar",
        description="Prioritisation only. Not for diagnosis.",
        version="1",
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    app.state.site = site
    app.include_router(sign_in.router)
    app.include_router(single_sign_on.router)
    app.include_router(pages.router)
    for module in (viewer, before_after, pictures, claiming, finding, shift, burden, audit_trail, language):
        app.include_router(module.router)
    app.include_router(api.router)
    for extension in extensions:
        for router in extension.routers:
            app.include_router(router)
        if extension.static is not None:
            app.mount(f"/static/{extension.name}", StaticFiles(directory=extension.static), name=extension.name)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> Response:
        try:
            with site.connection() as connection:
                connection.execute("SELECT 1 FROM study LIMIT 1")
        except (psycopg.OperationalError, PoolTimeout):
            return JSONResponse({"status": "the ledger does not answer"}, status_code=503)
        return JSONResponse({"status": "ok"})

    @app.exception_handler(HTTPException)
    def on_http_error(request: Request, error: HTTPException) -> Response:
        title = look_up(_TITLES.get(error.status_code, HTTPStatus(error.status_code).phrase))
        plain = error.detail == HTTPStatus(error.status_code).phrase
        detail = gettext("There is no such page here.") if plain and error.status_code == 404 else error.detail
        return error_response(site, request, error.status_code, title, detail)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        if request.url.path.startswith("/api/"):
            return await request_validation_exception_handler(request, error)
        return error_response(site, request, 404, look_up(_TITLES[404]), gettext("There is no such page here."))

    def on_failure(request: Request, error: Exception) -> Response:
        if isinstance(error, psycopg.OperationalError | PoolTimeout):
            return error_response(
                site,
                request,
                503,
                gettext("The ledger does not answer"),
                gettext("Nothing can be shown until the database is back. Read studies in PACS."),
            )
        if isinstance(error, StoreAway):
            return error_response(
                site,
                request,
                503,
                gettext("The image store does not answer"),
                gettext("The worklist goes on; images cannot be shown until it is back. Read studies in PACS."),
            )
        log_failure(error)
        return error_response(
            site,
            request,
            500,
            gettext("Something went wrong here"),
            gettext("The worklist itself is not affected. The error is in the log."),
        )

    app.add_middleware(
        Guard,
        pool=context.pool,
        sessions=site.sessions,
        programs=Programs(site.brake),
        on_failure=on_failure,
        policies={prefix: policy for each in extensions for prefix, policy in each.policies.items()},
    )
    return app


class WebServer(uvicorn.Server):
    """Uvicorn that ends the live streams before it waits for connections to finish."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.site.feed.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def make_server(app: FastAPI) -> WebServer:
    return WebServer(
        uvicorn.Config(
            app,
            access_log=False,  # addresses and times of people at work; the audit trail has them
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket on exactly this address.

    Raises:
        SettingsError: it is taken or not ours to use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"web.port = {port}: cannot serve the pages on {host}:{port} ({reason}).") from error
    return listener


def run(context: Context, extensions: Sequence[Extension] = ()) -> None:
    """Serve the pages until SIGTERM or SIGINT."""
    web = context.settings.web
    app = create_app(context, extensions)
    with bind(web.host, web.port) as listener, Heartbeat(context.pool, "web"):
        # Uvicorn ends on these and then raises them again; here that would skip what is left to tidy up.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        make_server(app).run(sockets=[listener])
