"""Finding a patient's studies of any time. By POST: what is typed never stands in an address."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from services.ledger import worklist
from services.triage.lists import maximum_wait
from services.triage.rows import describe_study
from services.triage.site import SiteDependency, Viewer, audit

FOUND_AT_MOST = 50

router = APIRouter(include_in_schema=False)


@router.post("/search")
def search(
    request: Request, site: SiteDependency, account: Viewer, find: Annotated[str, Form(max_length=64)] = ""
) -> Response:
    """Studies with this patient ID or accession number, or with it in one."""
    text = find.strip()
    with site.connection() as connection:
        studies = worklist.search_studies(connection, text, FOUND_AT_MOST) if text else []
        audit(connection, request, "search", account)
        for study in studies:
            audit(connection, request, "search", account, study_uid=study.study_uid)
    now = site.context.now()
    return site.render(
        request,
        "search.html",
        text=text,
        rows=[describe_study(study, now, maximum_wait(site)) for study in studies],
        limit=FOUND_AT_MOST,
    )
