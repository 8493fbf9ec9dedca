"""The worklist page, a study's page and pictures."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from sse_starlette import EventSourceResponse
from starlette.responses import Response

from models.card import Card
from models.errors import InvalidCard
from models.prediction import Urgency
from models.registry import load_card
from services.ledger import worklist
from services.ledger.accounts import Role
from services.triage.history import describe_history
from services.triage.lists import WINDOW, address_with, look_at_worklist, maximum_wait, read_filters
from services.triage.rows import AiState, Filters, describe_study
from services.triage.site import LIVE_HEADER, SiteDependency, Viewer, audit

router = APIRouter(include_in_schema=False)


@router.get("/")
def show_worklist(
    request: Request,
    site: SiteDependency,
    account: Viewer,
    filters: Annotated[Filters, Depends(read_filters)],
) -> Response:
    """The page; with the live header, only its changing part."""
    # Before the query: a change in between leads to one refetch too many, never to one too few.
    version = site.feed.version
    listed = look_at_worklist(request, site, account, filters)
    settings = site.context.settings
    return site.render(
        request,
        "_list.html" if LIVE_HEADER in request.headers else "worklist.html",
        worklist=listed,
        filters=filters,
        address=lambda **changes: address_with(filters, **changes),
        urgencies=tuple(Urgency),
        states=tuple(AiState),
        version=version,
        now=site.context.now(),
        ai_running=site.feed.inference_alive,
        may_claim=Role.RADIOLOGIST in account.roles,
        router=settings.router,
        window_hours=int(WINDOW.total_seconds() // 3600),
    )


@router.get("/events")
def stream_events(site: SiteDependency, account: Viewer) -> Response:  # noqa: ARG001
    """Server-sent events for the open list: the version of its state, nothing about patients."""
    return EventSourceResponse(site.feed.messages(), ping=3, send_timeout=10)


@router.get("/studies/{key}")
def show_study(request: Request, site: SiteDependency, account: Viewer, key: str) -> Response:
    with site.connection() as connection:
        record = worklist.read_study(connection, key)
        if record is None:
            raise HTTPException(404, "There is no such study here.")
        audit(connection, request, "study", account, study_uid=record.study.study_uid)
    now = site.context.now()
    return site.render(
        request,
        "study.html",
        record=record,
        row=describe_study(record.study, now, maximum_wait(site)),
        history=describe_history(record),
        cards={analysis.id: _card(analysis.model, analysis.model_version) for analysis in record.study.analyses},
        now=now,
        may_claim=Role.RADIOLOGIST in account.roles,
    )


@router.get("/previews/{analysis_id}")
def show_preview(request: Request, site: SiteDependency, account: Viewer, analysis_id: int) -> Response:
    """The picture of an analysis, PNG."""
    with site.connection() as connection:
        found = worklist.find_preview(connection, analysis_id)
        if found is None:
            raise HTTPException(404, "There is no such picture here.")
        audit(connection, request, "preview", account, study_uid=found[1])
    try:
        picture = site.context.store.get(found[0])
    except KeyError:
        raise HTTPException(404, "The picture is no longer in the store.") from None
    return Response(picture, media_type="image/png")


def _card(model: str, version: str) -> Card | None:
    """The card of exactly this version; a past version's limits are not today's."""
    try:
        card = load_card(model)
    except InvalidCard:
        return None
    return card if card.version == version else None
