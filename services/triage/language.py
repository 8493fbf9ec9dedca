"""The language of the pages, chosen by whoever looks: kept with the account, and in a cookie for the sign-in."""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from services.languages import find_language, gettext
from services.ledger.accounts import Account, save_language
from services.triage.guard import LANGUAGE_COOKIE
from services.triage.site import SiteDependency, own_address

COOKIE_S = 365 * 24 * 3600

router = APIRouter(include_in_schema=False)


@router.post("/language")
def choose_language(
    request: Request,
    site: SiteDependency,
    language: Annotated[str, Form(max_length=20)],
    next: Annotated[str, Form(max_length=500)] = "/",  # noqa: A002
) -> Response:
    """Show pages in this language from now on; before a sign-in for this browser, after it for this account."""
    if find_language(language) is None:
        raise HTTPException(422, gettext("There is no such language here."))
    account: Account | None = getattr(request.state, "account", None)
    if account is not None:
        with site.connection() as connection:
            save_language(connection, account.name, language)
    response = RedirectResponse(own_address(next), status_code=303)
    response.set_cookie(
        LANGUAGE_COOKIE,
        language,
        max_age=COOKIE_S,
        httponly=True,
        samesite="lax",
        secure=site.context.settings.web.secure_cookies,
    )
    return response
