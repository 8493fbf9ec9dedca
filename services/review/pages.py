"""The review's pages: queue, one workitem, tasks with their courses, people. Every form does what the API does."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from services.languages import gettext
from services.ledger import annotations, courses, gradings, images, selecting, workitems
from services.ledger.accounts import Account, Role, find_account
from services.ledger.workitems import Purpose, Slot, State
from services.review import (
    access,
    conformance,
    course,
    listing,
    opening,
    reliability,
    selection,
    states,
    words,
    workflow,
)
from services.review.listing import Tab
from services.review.people import Expert, Lead, refusals
from services.review.qualification import ROLES
from services.review.tasks import find_task
from services.triage.site import LIVE_HEADER, Site, SiteDependency, audit
from services.triage.words import URGENCIES

router = APIRouter(include_in_schema=False, prefix="/review")

Text = Annotated[str, Form(max_length=4000)]
AccountName = Annotated[str, Form(max_length=40)]


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
    version = site.feed.version
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
        is_lead=_is_lead(account),
        limit=listing.ROWS_SHOWN,
    )


@router.get("/workload")
def show_workload(request: Request, site: SiteDependency, account: Lead) -> Response:
    tasks = opening.tasks_of(site.context)
    with site.connection() as connection:
        loads = listing.workload(connection, tasks, site.context.now())
        audit(connection, request, "workload", account)
    return site.render(
        request,
        "workload.html",
        loads=loads,
        tasks=tasks,
        words=words,
        slots=tuple(Slot)[:4],
        today=site.context.now().date(),
    )


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


@router.get("/tasks/{task}")
def show_task(request: Request, site: SiteDependency, account: Expert, task: str) -> Response:
    """A task type: its rules, one's own training and test, and how well its readers agree."""
    is_lead = _is_lead(account)
    with refusals(), site.connection() as connection:
        found = find_task(opening.tasks_of(site.context), task)
        progress = course.progress(site.context, connection, account, found)
        references = courses.references(connection, found.name)
        admissions = [each for each in courses.admissions(connection) if each.task == task]
        people = courses.list_people(connection)
        agreement = reliability.of_task(connection, found) if is_lead else {}
    return site.render(
        request,
        "task.html",
        task=found,
        progress=progress,
        is_annotator=Role.ANNOTATOR in account.roles,
        is_lead=is_lead,
        reliability=agreement,
        training_cases=sum(each.purpose is Purpose.TRAINING for each in references),
        test_cases=sum(each.purpose is Purpose.TEST for each in references),
        admissions=admissions,
        others=[each for each in people if each.name != account.name],
    )


@router.post("/tasks/{task}/course")
def begin_course(request: Request, site: SiteDependency, account: Expert, task: str) -> Response:
    with refusals():
        course.begin(site.context, account, find_task(opening.tasks_of(site.context), task))
    with site.connection() as connection:
        audit(connection, request, "course begun", account)
    return RedirectResponse(f"/review/tasks/{task}", status_code=303)


@router.post("/tasks/{task}/admissions")
def admit(
    request: Request,
    site: SiteDependency,
    account: Lead,
    task: str,
    name: AccountName,
    reason: Text,
    passed: Annotated[bool, Form()] = False,
) -> Response:
    with refusals():
        workflow.admit(site.context, account, _person(site, name), task, passed=passed, reason=reason)
    with site.connection() as connection:
        audit(connection, request, "admission", account)
    return RedirectResponse(f"/review/tasks/{task}", status_code=303)


@router.post("/people/{name}/experience")
def record_experience(
    request: Request, site: SiteDependency, account: Lead, name: str, since: Annotated[date, Form()]
) -> Response:
    with refusals():
        workflow.record_experience(site.context, account, _person(site, name), since)
    with site.connection() as connection:
        audit(connection, request, "experience recorded", account)
    return RedirectResponse("/review/workload", status_code=303)


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
        people = courses.list_people(connection) if _is_lead(account) else []
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
        may_plan=_is_lead(account) and found.purpose is Purpose.WORK,
        people=[each for each in people if found.slot_of(each.name) is None],
        slots=(*found.annotator_slots, Slot.REVIEWER, Slot.ARBITER),
        has_ended=found.state in (State.ACCEPTED, State.EXCLUDED),
        may_refer=_is_lead(account) and found.state is State.ACCEPTED,
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
        workflow.assign(site.context, account, item, slot, _person(site, to))
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


def _is_lead(account: Account) -> bool:
    return bool(account.roles & {Role.REVIEWER, Role.ADMINISTRATOR})


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


def _person(site: Site, name: str) -> Account:
    with site.connection() as connection:
        found = find_account(connection, name)
    if found is None:
        raise HTTPException(404, gettext("There is no account of this name."))
    return found


def _changed(request: Request, site: Site, account: Account, action: str, item: int) -> Response:
    with site.connection() as connection:
        found = workitems.read(connection, item)
        audit(connection, request, action, account, study_uid=found.study_uid if found else None)
    return RedirectResponse(f"/review/{item}", status_code=303)
