"""The audit trail as a page, for administrators: who looked at what."""

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import Response

from services.languages import gettext
from services.ledger import worklist
from services.ledger.accounts import Account, Role
from services.ledger.audit import Wanted, list_entries
from services.triage.site import SiteDependency, audit, require

DAYS = (1, 7, 30, 365)
ON_A_PAGE = 200

Administrator = Annotated[Account, Depends(require(Role.ADMINISTRATOR))]

router = APIRouter(include_in_schema=False)


@router.get("/audit")
def show_audit_trail(
    request: Request,
    site: SiteDependency,
    account: Administrator,
    days: Annotated[int, Query(ge=1, le=3650)] = 7,
    name: Annotated[str, Query(max_length=40)] = "",
    study: Annotated[str, Query(max_length=40)] = "",
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """The newest rows; `name` is an account's, `study` what pages call a study, `before` the last row seen."""
    name = name.strip()
    with site.connection() as connection:
        record = worklist.read_study(connection, study) if study else None
        if study and record is None:
            raise HTTPException(404, gettext("There is no such study here."))
        study_uid = None if record is None else record.study.study_uid
        wanted = Wanted(site.context.now() - timedelta(days=days), name or None, study_uid, before)
        entries = list_entries(connection, wanted, ON_A_PAGE + 1)
        audit(connection, request, "audit trail", account, study_uid=study_uid)
    return site.render(
        request,
        "audit.html",
        entries=entries[:ON_A_PAGE],
        older=entries[ON_A_PAGE - 1].id if len(entries) > ON_A_PAGE else None,
        newest=before is None,
        days=days,
        choices=DAYS,
        name=name,
        study=study,
        record=record,
        address=address,
    )


def address(days: int, name: str, study: str, before: int | None = None) -> str:
    """Of this page; nothing of a patient is in it."""
    wanted = {"days": days, "name": name, "study": study, "before": before}
    return "/audit?" + urlencode({key: value for key, value in wanted.items() if value})
