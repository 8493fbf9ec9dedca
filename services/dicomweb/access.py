"""Who may use DICOMweb, and the audit trail of it."""

from typing import Annotated

from fastapi import Depends, Request

from services.ledger.accounts import Account, Role
from services.ledger.audit import record_audit
from services.triage.site import Site, address_of, require

Client = Annotated[Account, Depends(require(Role.RADIOLOGIST, Role.ADMINISTRATOR, Role.SYSTEM))]


def audit(site: Site, request: Request, account: Account, action: str, study_uid: str | None = None) -> None:
    """Write who looks before anything is shown; the same look within a minute is one row.

    A viewer asks for a series frame by frame: a row each would hide what matters.
    """
    address = address_of(request)
    if site.looks.is_new(site.context.now(), account.name, address, action, study_uid or ""):
        with site.connection() as connection:
            record_audit(connection, action, account=account.name, address=address, study_uid=study_uid)
