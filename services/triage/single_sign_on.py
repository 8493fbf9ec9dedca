"""Signing in by the hospital's identity provider: there, and back."""

import logging
import re
from functools import partial

import httpx2
from anyio.to_thread import run_sync
from authlib.integrations.starlette_client import OAuthError
from fastapi import APIRouter, HTTPException, Request
from itsdangerous import BadData
from joserfc.errors import JoseError
from starlette.responses import Response

from services.errors import Reject
from services.languages import gettext
from services.ledger.accounts import Account
from services.ledger.audit import record_audit
from services.ledger.provided_accounts import NameTaken, NoRole, Person, open_account
from services.triage.provider import RETURN, Provider
from services.triage.sign_in import show, signed_in
from services.triage.site import Site, SiteDependency, address_of, own_address

START = "/sign-in/provider"
ONGOING = "nightjar_sign_on"
ONGOING_S = 600
"""Somebody may look for their second factor for so long."""

_CODE = re.compile(r"[a-z_]{1,40}")
_log = logging.getLogger(__name__)

router = APIRouter(include_in_schema=False)


@router.get(START)
async def start(request: Request, site: SiteDependency, next: str = "/") -> Response:  # noqa: A002
    provider = _provider(site)
    request.scope["session"] = {}
    try:
        response = await provider.send_there(request)
    except (OAuthError, httpx2.HTTPError, KeyError, ValueError) as error:
        return _failed(request, site, error, own_address(next))
    ongoing = provider.ongoing.dumps({"session": request.session, "next": own_address(next)})
    response.set_cookie(
        ONGOING,
        ongoing,
        max_age=ONGOING_S,
        path=RETURN,
        httponly=True,
        samesite="lax",
        secure=site.context.settings.web.secure_cookies,
    )
    return response


@router.get(RETURN)
async def come_back(request: Request, site: SiteDependency) -> Response:
    provider = _provider(site)
    target = "/"
    try:
        ongoing = provider.ongoing.loads(request.cookies.get(ONGOING, ""), max_age=ONGOING_S)
        request.scope["session"], target = ongoing["session"], own_address(ongoing["next"])
        person = await provider.person(request)
        account = await run_sync(partial(_open, site, person, address_of(request)))
    except Reject as error:
        response = show(request, site, 403, target=target, problem=_refusal(error))
    except BadData as error:
        response = _failed(request, site, error, target)  # not begun here: nobody's sign-in
    except (OAuthError, JoseError, httpx2.HTTPError, KeyError, ValueError) as error:
        await run_sync(partial(_record_failure, site, address_of(request)))
        response = _failed(request, site, error, target)
    else:
        response = signed_in(site, account, target)
    response.delete_cookie(ONGOING, path=RETURN)
    return response


def _open(site: Site, person: Person, address: str) -> Account:
    with site.connection() as connection:
        try:
            account = open_account(connection, person)
        except Reject:
            record_audit(connection, "sign-in", account=None, address=address, outcome="failure")
            connection.commit()
            raise
        record_audit(connection, "sign-in", account=account.name, address=address)
    return account


def _record_failure(site: Site, address: str) -> None:
    with site.connection() as connection:
        record_audit(connection, "sign-in", account=None, address=address, outcome="failure")


def _provider(site: Site) -> Provider:
    if site.provider is None:
        raise HTTPException(404)
    return site.provider


def _failed(request: Request, site: Site, error: Exception, target: str) -> Response:
    # The address of the return is anybody's to write: of an error only a code that looks like one is logged.
    code = str(getattr(error, "error", "") or "")
    _log.warning("A sign-in by the provider failed (%s).", code if _CODE.fullmatch(code) else type(error).__name__)
    if isinstance(error, httpx2.HTTPError):
        problem = gettext("The sign-in of your hospital does not answer. Try again in a moment.")
        return show(request, site, 503, target=target, problem=problem)
    return show(request, site, 401, target=target, problem=gettext("This sign-in did not succeed. Begin again."))


def _refusal(error: Reject) -> str:
    if isinstance(error, NoRole):
        return gettext("You have no role in Nightjar. Ask whoever looks after its groups.")
    if isinstance(error, NameTaken):
        return gettext("There is another account called %(name)s here.", name=str(error))
    return gettext("Your account has no name that Nightjar can use.")
