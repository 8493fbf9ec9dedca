"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from services.languages import gettext
from services.ledger.accounts import Account, Role, find_account, record_audit, verify
from services.triage.rows import format_wait
from services.triage.sessions import COOKIE
from services.triage.site import SiteDependency, address_of, audit, own_address

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
def show_sign_in(request: Request, site: SiteDependency, next: str = "/") -> Response:  # noqa: A002
    return site.render(request, "sign_in.html", next=own_address(next), name="", problem=None)


@router.post("/sign-in")
def sign_in(
    request: Request,
    site: SiteDependency,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002
) -> Response:
    name, target = name.strip().lower(), own_address(next)
    address = address_of(request)
    wait = site.brake.wait(name, address)
    if wait is not None:
        problem = gettext("Too many failed sign-ins. Try again in %(wait)s.", wait=format_wait(wait))
        response = site.render(request, "sign_in.html", 429, next=target, name=name, problem=problem)
        response.headers["Retry-After"] = str(max(1, int(wait.total_seconds())))
        return response
    with site.connection() as connection:
        account = verify(connection, name, password)
        # People type passwords into the name field: only a name that exists is written down.
        known = account or find_account(connection, name)
        record_audit(
            connection,
            "sign-in",
            account=known.name if known else None,
            address=address,
            outcome="success" if account else "failure",
        )
    if account is None:
        site.brake.failed(name, address)
        problem = gettext("This name and password do not match.")
        return site.render(request, "sign_in.html", 401, next=target, name=name, problem=problem)
    site.brake.succeeded(name, address)
    if target == "/" and not account.roles & {Role.RADIOLOGIST, Role.ADMINISTRATOR}:
        target = "/review"
    response = RedirectResponse(target, status_code=303)
    response.set_cookie(
        COOKIE,
        site.sessions.issue(account),
        max_age=int(site.sessions.lifetime.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=site.context.settings.web.secure_cookies,
    )
    return response


@router.post("/sign-out")
def sign_out(request: Request, site: SiteDependency) -> Response:
    account: Account = request.state.account
    with site.connection() as connection:
        audit(connection, request, "sign-out", account)
    response = RedirectResponse("/sign-in", status_code=303)
    response.delete_cookie(COOKIE)
    return response
