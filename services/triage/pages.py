"""The worklist page, a study's page, pictures and claims."""

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from sse_starlette import EventSourceResponse
from starlette.responses import RedirectResponse, Response

from models.card import Card
from models.errors import InvalidCard
from models.prediction import Urgency
from models.registry import load_card
from services.ledger import worklist
from services.ledger.accounts import Account, Role
from services.ledger.database import Connection
from services.triage.history import describe_history
from services.triage.rows import AiState, Filters, Sort, Worklist, build_worklist, describe_study
from services.triage.site import LIVE_HEADER, Reader, Site, SiteDependency, Viewer, address_of, audit

# The list looks back so far, and says so.
WINDOW = timedelta(hours=72)
ROWS_SHOWN = 500

router = APIRouter(include_in_schema=False)


def read_filters(
    priority: Annotated[str | None, Query(max_length=20)] = None,
    state: Annotated[str | None, Query(max_length=20)] = None,
    sort: Annotated[str | None, Query(max_length=20)] = None,
) -> Filters:
    """Filters from an address; what is no filter is left out, for an old bookmark must still open the list."""
    urgencies = {urgency.name.lower(): urgency for urgency in Urgency}
    states = {known.slug: known for known in AiState}
    return Filters(
        urgency=urgencies.get(priority or ""),
        state=states.get(state or ""),
        sort=Sort.ARRIVAL if sort == Sort.ARRIVAL else Sort.PRIORITY,
    )


def look_at_worklist(request: Request, site: Site, account: Account, filters: Filters) -> Worklist:
    """The list as of now; the look is in the audit trail before anything is shown."""
    now = site.context.now()
    if site.looks.is_new(account.name, address_of(request), now):
        with site.connection() as connection:
            audit(connection, request, "worklist", account)
    with site.connection() as connection:
        studies = worklist.list_studies(connection, now - WINDOW)
    return build_worklist(studies, filters, now, maximum_wait(site), ROWS_SHOWN)


def maximum_wait(site: Site) -> timedelta:
    return timedelta(minutes=site.context.settings.web.maximum_wait_minutes)


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
        address=lambda **changes: _address(filters, **changes),
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


@router.post("/studies/{key}/claim")
def claim(request: Request, site: SiteDependency, account: Reader, key: str) -> Response:
    with site.connection() as connection:
        study_uid = _study_uid(connection, key)
        holder = worklist.claim(connection, study_uid, account.name, site.context.now())
        if holder == account.name:
            audit(connection, request, "claim", account, study_uid=study_uid)
    if holder != account.name:
        raise HTTPException(409, f"{holder} has claimed this study.")
    return _done(request)


@router.post("/studies/{key}/release")
def release(request: Request, site: SiteDependency, account: Viewer, key: str) -> Response:
    """Give a claim back: one's own, or as administrator anybody's."""
    with site.connection() as connection:
        study_uid = _study_uid(connection, key)
        of_others = Role.ADMINISTRATOR in account.roles
        released = worklist.release(connection, study_uid, account.name, of_others=of_others)
        if released:
            audit(connection, request, "release", account, study_uid=study_uid)
    if not released:
        raise HTTPException(409, "Somebody else has claimed this study.")
    return _done(request)


def _card(model: str, version: str) -> Card | None:
    """The card of exactly this version; a past version's limits are not today's."""
    try:
        card = load_card(model)
    except InvalidCard:
        return None
    return card if card.version == version else None


def _study_uid(connection: Connection, key: str) -> str:
    study_uid = worklist.find_study_uid(connection, key)
    if study_uid is None:
        raise HTTPException(404, "There is no such study here.")
    return study_uid


def _done(request: Request) -> Response:
    return Response(status_code=204) if LIVE_HEADER in request.headers else RedirectResponse("/", status_code=303)


def _address(filters: Filters, **changes: Urgency | AiState | Sort | None) -> str:
    """The list's address with some filters changed; None takes a filter away."""
    urgency = changes.get("urgency", filters.urgency)
    state = changes.get("state", filters.state)
    sort = changes.get("sort", filters.sort)
    query = {}
    if isinstance(urgency, Urgency):
        query["priority"] = urgency.name.lower()
    if isinstance(state, AiState):
        query["state"] = state.slug
    if sort is Sort.ARRIVAL:
        query["sort"] = Sort.ARRIVAL.value
    return f"/?{urlencode(query)}" if query else "/"
