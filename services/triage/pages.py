"""The worklist page and a study's page."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Cookie, Depends, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from models.prediction import Urgency
from services.languages import gettext, mark
from services.ledger import claims, worklist
from services.ledger.accounts import Role, list_readers
from services.ledger.opinions import Reason
from services.triage.cards import card_of_version
from services.triage.history import describe_history
from services.triage.lists import WINDOW, address_with, look_at_worklist, maximum_wait, read_filters
from services.triage.rows import AiState, Filters, describe_study
from services.triage.site import LIVE_HEADER, SiteDependency, Viewer, audit

_TITLES = {
    "priority": mark("Priority"),
    "waiting": mark("Waiting"),
    "arrived": mark("Arrived"),
    "preview": mark("Preview"),
    "patient": mark("Patient"),
    "accession": mark("Accession"),
    "study": mark("Study"),
    "finding": mark("Suspected finding"),
    "ai": mark("AI state"),
    "reader": mark("Reader"),
}

router = APIRouter(include_in_schema=False)


@router.get("/")
def show_worklist(
    request: Request,
    site: SiteDependency,
    account: Viewer,
    filters: Annotated[Filters, Depends(read_filters)],
    nightjar_outlines: Annotated[str, Cookie()] = "",
) -> Response:
    """The page; with the live header, only its changing part."""
    # Before the query: a change in between leads to one refetch too many, never to one too few.
    version = site.feed.version()
    listed = look_at_worklist(request, site, account, filters)
    settings, now = site.context.settings, site.context.now()
    with site.connection() as connection:
        acknowledged = claims.acknowledged(connection, account.name, now - WINDOW)
        readers = list_readers(connection)
    return site.render(
        request,
        "_list.html" if LIVE_HEADER in request.headers else "worklist.html",
        worklist=listed,
        filters=filters,
        address=lambda **changes: address_with(filters, **changes),
        urgencies=tuple(Urgency),
        states=tuple(AiState),
        version=version,
        now=now,
        acknowledged=acknowledged,
        readers=readers,
        reasons=tuple(Reason),
        columns=settings.web.columns,
        titles=_TITLES,
        outlines=settings.web.preview_outlines if nightjar_outlines not in ("on", "off") else nightjar_outlines == "on",
        ai_running=site.feed.inference_alive,
        may_claim=Role.RADIOLOGIST in account.roles,
        router=settings.router,
        window_hours=int(WINDOW.total_seconds() // 3600),
    )


@router.get("/events")
def stream_events(site: SiteDependency, account: Viewer) -> Response:  # noqa: ARG001
    """Server-sent events for the open list: the version of its state, nothing about patients."""
    return site.feed.stream()


@router.get("/studies/{key}")
def show_study(request: Request, site: SiteDependency, account: Viewer, key: str) -> Response:
    with site.connection() as connection:
        record = worklist.read_study(connection, key)
        if record is None:
            raise HTTPException(404, gettext("There is no such study here."))
        audit(connection, request, "study", account, study_uid=record.study.study_uid)
    now = site.context.now()
    return site.render(
        request,
        "study.html",
        record=record,
        row=describe_study(record.study, now, maximum_wait(site)),
        history=describe_history(record),
        cards={
            analysis.id: card_of_version(analysis.model, analysis.model_version) for analysis in record.study.analyses
        },
        now=now,
        may_claim=Role.RADIOLOGIST in account.roles,
        has_pacs=site.context.settings.web.pacs_url is not None,
        viewers=site.viewers,
    )


@router.get("/studies/{key}/pacs")
def open_in_pacs(request: Request, site: SiteDependency, account: Viewer, key: str) -> Response:
    """On to the site's PACS. What names the study there stands in its address alone, never in one of ours."""
    address = site.context.settings.web.pacs_url
    with site.connection() as connection:
        record = worklist.read_study(connection, key)
        if record is None or address is None:
            raise HTTPException(404, gettext("There is no such study here."))
        study = record.study
        audit(connection, request, "pacs", account, study_uid=study.study_uid)
    return RedirectResponse(
        address.format(
            study_uid=quote(study.study_uid, safe=""),
            accession_number=quote(study.accession_number or "", safe=""),
            patient_id=quote(study.patient_id or "", safe=""),
        ),
        status_code=303,
    )
