"""What every request passes: headers, the same-origin rule, a language, and a sign-in for all but a few addresses."""

from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from anyio.to_thread import run_sync
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.languages import Language, find_language, gettext, languages, speaking
from services.languages.catalogues import ENGLISH, negotiate
from services.ledger.accounts import Account, find_account
from services.ledger.database import Pool
from services.triage.programs import Programs
from services.triage.sessions import COOKIE, Sessions
from services.triage.site import CONNECTION_WAIT_S, PROGRAMS, wants_json

LANGUAGE_COOKIE = "nightjar_language"
OPEN_ADDRESSES = frozenset({"/sign-in", "/sign-in/provider", "/sign-in/return", "/language", "/healthz", "/readyz"})
OPEN_PREFIX = "/static/"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware. Puts the account of a signed-in request into `request.state.account`.

    Args:
        policies: Content-Security-Policy by prefix of the address, where it is not that of our own pages.
    """

    def __init__(
        self,
        app: ASGIApp,
        pool: Pool,
        sessions: Sessions,
        programs: Programs,
        on_failure: Callable[[Request, Exception], Response],
        policies: Mapping[str, str],
    ) -> None:
        self._app, self._pool, self._sessions, self._on_failure = app, pool, sessions, on_failure
        self._programs, self._policies = programs, policies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                outgoing = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    outgoing[name] = value
                for prefix, policy in self._policies.items():
                    if scope["path"].startswith(prefix):
                        outgoing["Content-Security-Policy"] = policy
                if not scope["path"].startswith((OPEN_PREFIX, *self._policies)):
                    outgoing["Cache-Control"] = "no-store"
            await send(message)

        path, headers = scope["path"], Headers(scope=scope)
        language = choose_language(path, headers, None)
        try:
            is_open = path in OPEN_ADDRESSES or path.startswith(OPEN_PREFIX)
            account = None
            if not is_open or path == "/language":
                account = await run_sync(self._account, scope, headers)
                language = choose_language(path, headers, account)
            with speaking(language):
                await self._answer(scope, headers, account, is_open)(scope, receive, send_guarded)
        except Exception as error:  # noqa: BLE001
            # The last place that may still answer; what escapes further would be logged with its text.
            with speaking(language):
                response = self._on_failure(Request(scope), error)
            if not started:
                await response(scope, receive, send_guarded)

    def _answer(self, scope: Scope, headers: Headers, account: Account | None, is_open: bool) -> ASGIApp:
        """What answers this request: the application, or a refusal."""
        if scope["method"] not in _SAFE_METHODS and not (is_same_origin(headers) or _is_program(scope, headers)):
            detail = gettext("This request did not come from Nightjar's own pages.")
            return JSONResponse({"detail": detail}, status_code=403)
        if account is not None:
            scope.setdefault("state", {})["account"] = account
        elif not is_open:
            return _ask_to_sign_in(scope["method"], scope["path"], headers)
        return self._app

    def _account(self, scope: Scope, headers: Headers) -> Account | None:
        if _is_program(scope, headers):
            address = scope["client"][0] if scope.get("client") else "unknown"
            with self._pool.connection(timeout=CONNECTION_WAIT_S) as connection:
                return self._programs.account(connection, headers.get("authorization", ""), address)
        session = self._sessions.read(_cookie(headers, COOKIE))
        if session is None:
            return None
        name, stamp = session
        with self._pool.connection(timeout=CONNECTION_WAIT_S) as connection:
            account = find_account(connection, name)
        return account if account is not None and account.stamp == stamp else None


def choose_language(path: str, headers: Headers, account: Account | None) -> Language:
    """The account's own language, else this browser's choice, else what the browser asks for. Programs get English."""
    if path.startswith(("/api/", PROGRAMS)):
        return languages()[ENGLISH]
    chosen = find_language(account.language if account is not None else None)
    return chosen or find_language(_cookie(headers, LANGUAGE_COOKIE)) or negotiate(headers.get("accept-language", ""))


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return morsel.value if morsel else None


def is_same_origin(headers: Headers) -> bool:
    """Whether a browser says that its own page of ours sent this. A request that says nothing is refused."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")


def _is_program(scope: Scope, headers: Headers) -> bool:
    """Whether this is no browser's doing: only a browser would add credentials to what another site made it send."""
    return scope["path"].startswith(PROGRAMS) and "authorization" in headers and "sec-fetch-site" not in headers


def _ask_to_sign_in(method: str, path: str, headers: Headers) -> Response:
    if method != "GET" or wants_json(path, headers):
        # A browser would open a window of its own, and keep what is typed there.
        ask = path.startswith(PROGRAMS) and "sec-fetch-site" not in headers
        challenge = {"WWW-Authenticate": 'Basic realm="Nightjar", charset="UTF-8"'} if ask else None
        return JSONResponse({"detail": gettext("Sign in first.")}, status_code=401, headers=challenge)
    return RedirectResponse(f"/sign-in?next={quote(path)}" if path != "/" else "/sign-in", status_code=303)
