"""What the endpoints share: addresses, what is accepted, and which instances an address means."""

from fastapi import HTTPException, Request

from services.dicomweb.access import audit
from services.dicomweb.media import MediaRange, accepts_json, parse_accept
from services.ledger import holdings
from services.ledger.accounts import Account
from services.ledger.holdings import Held
from services.triage.site import PROGRAMS, Site

PREFIX = PROGRAMS.rstrip("/")


def base_url(request: Request) -> str:
    """Address of the service as this client reached it."""
    return f"{request.url.scheme}://{request.url.netloc}{PREFIX}"


def accepted(request: Request) -> list[MediaRange]:
    """From the query parameter `accept`, which browsers can set, else the header."""
    return parse_accept(request.query_params.get("accept") or request.headers.get("accept", ""))


def check_json(request: Request) -> None:
    if not accepts_json(accepted(request)):
        raise HTTPException(406, "This answer is application/dicom+json; ask for that. XML is not offered.")


def find_held(
    request: Request,
    site: Site,
    account: Account,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    *,
    action: str,
) -> list[Held]:
    """The instances an address means; the look is in the audit trail before anything is read."""
    with site.connection() as connection:
        held = holdings.list_held(connection, study, series, instance)
    if not held:
        raise HTTPException(404, "Nothing is held here under this address.")
    audit(site, request, account, action, study)
    return held
