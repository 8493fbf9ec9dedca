"""Signing in and out."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from services.languages import gettext
from services.ledger.accounts import Account, Role, find_account, verify
from services.ledger.audit import record_audit
from services.triage.rows import format_wait
from services.triage.sessions import COOKIE
from services.triage.site import Site, SiteDependency, address_of, audit, own_address

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
def show_sign_in(request: Request, site: SiteDependency, next: str = "/") -> Response:  # noqa: A002
    return show(request, site, target=own_address(next))


@router.post("/sign-in")
def sign_in(
    request: Request,
    site: SiteDependency,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002
) -> Response:
    name, target = name.strip().lower(), own_address(next)
    sign_on = site.context.settings.web.sign_on
    if sign_on is not None and not sign_on.passwords:
        return show(request, site, 403, target=target)
    address = address_of(request)
    wait = site.brake.wait(name, address)
    if wait is not None:
        problem = gettext("Too many failed sign-ins. Try again in %(wait)s.", wait=format_wait(wait))
        response = show(request, site, 429, target=target, name=name, problem=problem)
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
        return show(request, site, 401, target=target, name=name, problem=problem)
    site.brake.succeeded(name, address)
    return signed_in(site, account, target)


def show(
    request: Request, site: Site, status: int = 200, *, target: str, name: str = "", problem: str | None = None
) -> Response:
    """The page that asks who one is."""
    sign_on = site.context.settings.web.sign_on
    return site.render(
        request,
        "sign_in.html",
        status,
        next=target,
        name=name,
        problem=problem,
        provider=None if sign_on is None else sign_on.label or gettext("your hospital account"),
        passwords=sign_on is None or sign_on.passwords,
        # Not the address of a return from a provider, which says more than a page should keep.
        address_here="/sign-in" if target == "/" else f"/sign-in?{urlencode({'next': target})}",
    )


def signed_in(site: Site, account: Account, target: str) -> Response:
    """On to the page they wanted, or to the first of theirs, with a session."""
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
