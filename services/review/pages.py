"""The review's pages: the queue and one workitem. Every form does what the API does."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from services.languages import gettext
from services.ledger import annotations, courses, gradings, images, selecting, workitems
from services.ledger.accounts import Account, Role
from services.ledger.workitems import Purpose, Slot, State
from services.review import (
    access,
    conformance,
    course,
    listing,
    opening,
    selection,
    states,
    words,
    workflow,
)
from services.review.listing import Tab
from services.review.people import AccountName, Expert, Lead, Text, leads, person, refusals
from services.review.qualification import ROLES
from services.triage.site import LIVE_HEADER, Site, SiteDependency, audit
from services.triage.words import URGENCIES

router = APIRouter(include_in_schema=False, prefix="/review")


@router.get("")
def show_queue(
    request: Request,
    site: SiteDependency,
    account: Expert,
    tab: Annotated[str, Query(max_length=20)] = "",
    mine: Annotated[bool, Query()] = False,
) -> Response:
    """The queue; with the live header, only its changing part. Opens on the tab of one's own role."""
    chosen = Tab(tab) if tab in set(Tab) else _own_tab(account)
    tasks = opening.tasks_of(site.context)
    # Before the query: a change in between leads to one refetch too many, never to one too few.
    version = site.feed.version(workitems.CHANNEL)
    with site.connection() as connection:
        rows = listing.list_rows(connection, account, chosen, tasks, site.context.now(), mine=mine)
        counts = listing.count_tabs(connection)
        own = workitems.list_workitems(
            connection, [State.TO_ANNOTATE], purposes=[Purpose.TRAINING, Purpose.TEST], account=account.name
        )
        if LIVE_HEADER not in request.headers:  # a live list asks again and again
            audit(connection, request, "review queue", account)
    return site.render(
        request,
        "_queue.html" if LIVE_HEADER in request.headers else "queue.html",
        tab=chosen,
        tabs=tuple(Tab),
        counts=counts,
        rows=rows,
        mine=mine,
        course_items=own,
        tasks=tasks,
        words=words,
        urgencies={int(urgency): text for urgency, text in URGENCIES.items()},
        version=version,
        is_lead=leads(account),
        limit=listing.ROWS_SHOWN,
    )


@router.get("/events")
def stream_events(site: SiteDependency, account: Expert) -> Response:  # noqa: ARG001
    """Server-sent events for the open queue: the version of its state, nothing about patients."""
    return site.feed.stream(workitems.CHANNEL)


@router.get("/new")
def show_new(
    request: Request, site: SiteDependency, account: Lead, study: Annotated[str, Query(max_length=32)]
) -> Response:
    """The form that makes a workitem of a study."""
    with site.connection() as connection:
        study_uid = selecting.find_study(connection, study)
        if study_uid is None:
            raise HTTPException(404, gettext("There is no such study here."))
        audit(connection, request, "study", account, study_uid=study_uid)
        existing = workitems.of_study(connection, study_uid)
        series = images.list_image_series(connection, study_uid)
    return site.render(
        request,
        "new_workitem.html",
        study=study,
        tasks=opening.tasks_of(site.context),
        existing=existing,
        series=series,
        words=words,
    )


@router.post("/new")
def make(
    request: Request,
    site: SiteDependency,
    account: Lead,
    study: Annotated[str, Form(max_length=32)],
    task: Annotated[str, Form(max_length=40)],
    series: Annotated[str, Form(max_length=32)] = "",
    priority: Annotated[int, Form(ge=1, le=3)] = 3,
    due: Annotated[str, Form(max_length=10)] = "",
    readers: Annotated[int, Form(ge=1, le=2)] = 1,
) -> Response:
    with refusals():
        made = selection.make(
            site.context,
            account,
            selection.Request(study, task, series or None, priority, _due(due), readers),
        )
    return _changed(request, site, account, "workitem made", made)


@router.get("/{item}")
def show_workitem(request: Request, site: SiteDependency, account: Expert, item: int) -> Response:
    with refusals(), site.connection() as connection:
        opened = opening.open_item(site.context, connection, item, account)
        found, task = opened.item, opened.task
        audit(connection, request, "workitem", account, study_uid=found.study_uid)
    with refusals():
        lines = conformance.keep(site.context, found, task)
    with site.connection() as connection:
        decided = workitems.decisions(connection, [item]).get(item, ())
        grades = gradings.image_grades(connection, item)
        agreements = gradings.agreements(connection, item)
        standing = annotations.read(connection, found.standing_id) if found.standing_id is not None else None
        people = courses.list_people(connection) if leads(account) else []
    blinded = access.is_blinded(found, account)
    return site.render(
        request,
        "workitem.html",
        opened=opened,
        words=words,
        item=found,
        task=task,
        row=listing.describe(found, account, {task.name: task}, standing, decided, site.context.now()),
        blinded=blinded,
        lines=lines,
        decided=() if blinded else decided,
        agreements=() if blinded else agreements,
        grades=[each for each in grades.values() if not blinded or each.account == account.name],
        own_grade=grades.get(account.name),
        may_take=opened.slot is None and any(ROLES[slot] in account.roles for slot in _free(found)),
        moves=_moves(found, account),
        may_plan=leads(account) and found.purpose is Purpose.WORK,
        people=[each for each in people if found.slot_of(each.name) is None],
        slots=(*found.annotator_slots, Slot.REVIEWER, Slot.ARBITER),
        has_ended=found.state in (State.ACCEPTED, State.EXCLUDED),
        may_refer=leads(account) and found.state is State.ACCEPTED,
    )


@router.post("/{item}/take")
def take(request: Request, site: SiteDependency, account: Expert, item: int) -> Response:
    with refusals():
        workflow.take(site.context, account, item)
    return _changed(request, site, account, "workitem taken", item)


@router.post("/{item}/give-back")
def give_back(request: Request, site: SiteDependency, account: Expert, item: int) -> Response:
    with refusals():
        workflow.give_back(site.context, account, item)
    return _changed(request, site, account, "workitem given back", item)


@router.post("/{item}/assign")
def assign(
    request: Request, site: SiteDependency, account: Lead, item: int, slot: Annotated[Slot, Form()], to: AccountName
) -> Response:
    with refusals():
        workflow.assign(site.context, account, item, slot, person(site, to))
    return _changed(request, site, account, "workitem assigned", item)


@router.post("/{item}/plan")
def plan(
    request: Request,
    site: SiteDependency,
    account: Lead,
    item: int,
    priority: Annotated[int, Form(ge=1, le=3)],
    due: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    with refusals():
        workflow.plan(site.context, account, item, priority=priority, due_at=_due(due))
    return _changed(request, site, account, "workitem planned", item)


@router.post("/{item}/decision")
def decide(
    request: Request,
    site: SiteDependency,
    account: Expert,
    item: int,
    target: Annotated[State, Form()],
    reason: Text = "",
) -> Response:
    with refusals():
        workflow.decide(site.context, account, item, target, reason)
    return _changed(request, site, account, f"workitem {target}", item)


@router.post("/{item}/quality")
def grade(
    request: Request,
    site: SiteDependency,
    account: Expert,
    item: int,
    value: Annotated[int, Form()],
    motion: Annotated[bool, Form()] = False,
    metal: Annotated[bool, Form()] = False,
    note: Text = "",
) -> Response:
    with refusals():
        workflow.grade(site.context, account, item, value, motion=motion, metal=metal, note=note)
    return _changed(request, site, account, "image quality", item)


@router.post("/{item}/comments")
def comment(
    request: Request,
    site: SiteDependency,
    account: Expert,
    item: int,
    text: Text,
    doubtful: Annotated[bool, Form()] = False,
) -> Response:
    with refusals():
        workflow.comment(site.context, account, item, text, doubtful=doubtful)
    return _changed(request, site, account, "comment", item)


@router.post("/{item}/reference")
def add_reference(
    request: Request, site: SiteDependency, account: Lead, item: int, purpose: Annotated[Purpose, Form()]
) -> Response:
    if purpose is Purpose.WORK:
        raise HTTPException(422, gettext("A reference is for training or for the test."))
    with refusals():
        course.add_reference(site.context, account, item, purpose)
    return _changed(request, site, account, "reference added", item)


def _own_tab(account: Account) -> Tab:
    if Role.ANNOTATOR in account.roles:
        return Tab.ANNOTATE
    return Tab.DISPUTED if Role.ARBITER in account.roles and Role.REVIEWER not in account.roles else Tab.REVIEW


def _free(item: workitems.Workitem) -> list[Slot]:
    """Slots that somebody could take now; review is taken by a decision."""
    turn = access.DRAWS.get(item.state, ())
    return [slot for slot in (*item.annotator_slots, Slot.ARBITER) if slot in turn and item.reading(slot) is None]


def _moves(item: workitems.Workitem, account: Account) -> list[tuple[State, states.Move]]:
    """Decisions that the account may make, acceptance first; giving back has a button of its own."""
    if item.purpose is not Purpose.WORK:
        return []
    slot = item.slot_of(account.name)
    order: list[State] = []
    if slot in (None, Slot.REVIEWER):
        order += [State.ACCEPTED, State.IN_REVIEW, State.RETURNED, State.DISPUTED, State.TO_ANNOTATE]
    if slot is not None or Role.REVIEWER in account.roles:
        order.append(State.EXCLUDED)
    allowed = [target for target in order if states.may_decide(item.state, target, account.roles)]
    return [(target, states.MOVES[item.state, target]) for target in allowed]


def _due(day: str) -> datetime | None:
    """The end of a day as a form sends it; None for none."""
    if not day:
        return None
    try:
        return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1, seconds=-1)
    except ValueError:
        raise HTTPException(422, gettext("A due date is year, month and day: 2026-12-31.")) from None


def _changed(request: Request, site: Site, account: Account, action: str, item: int) -> Response:
    with site.connection() as connection:
        found = workitems.read(connection, item)
        audit(connection, request, action, account, study_uid=found.study_uid if found else None)
    return RedirectResponse(f"/review/{item}", status_code=303)
