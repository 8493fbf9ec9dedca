"""The page that holds models against experts: accepted labels beside the answers they correct."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from services.languages import gettext
from services.ledger.accounts import Account, Role
from services.ledger.experts import group_by, read_corrected
from services.triage.site import SiteDependency, audit, require

DAYS = (30, 90, 365)

Looker = Annotated[Account, Depends(require(*(role for role in Role if role is not Role.SYSTEM)))]

router = APIRouter(include_in_schema=False, prefix="/review")


@router.get("/experts")
def show_experts(
    request: Request, site: SiteDependency, account: Looker, days: Annotated[int, Query(ge=1, le=3650)] = 90
) -> Response:
    """Dice, volumes and flags by model version, and by model version and scanner."""
    with site.connection() as connection:
        corrected = read_corrected(connection, site.context.now() - timedelta(days=days))
        audit(connection, request, "model against experts", account)
    versions = group_by(corrected, lambda each: (f"{each.model} {each.model_version}",))
    scanners = group_by(corrected, lambda each: (f"{each.model} {each.model_version}", each.scanner))
    return site.render(
        request,
        "experts.html",
        days=days,
        choices=DAYS,
        studies=len(corrected),
        tables=((gettext("By model version"), versions), (gettext("By model version and scanner"), scanners)),
    )
