"""The review for programs: everything its pages do, as JSON; masks travel in the form in which they are stored."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.languages import gettext
from services.ledger import accepted, workitems
from services.ledger.accounts import Account
from services.ledger.workitems import Purpose, Slot, State
from services.review import answers, course, listing, opening, qualification, reliability, selection, workflow
from services.review.listing import Tab
from services.review.masks import decode, encode
from services.review.people import Expert, Lead, person, refusals
from services.review.tasks import find_task
from services.triage.site import Site, SiteDependency, audit

LARGEST_MASK_BYTES = 64 * 2**20
"""Of a stored mask, which is compressed."""

router = APIRouter(prefix="/api/v1")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewWorkitemBody(_Body):
    """A workitem to make; study and series by their ids of the worklist and viewer."""

    study: str = Field(max_length=32)
    task: str = Field(max_length=40)
    series: str | None = Field(None, max_length=32)
    priority: int | None = Field(None, ge=1, le=3)
    due_at: datetime | None = None
    readers: int | None = Field(None, ge=1, le=2)


class AssignBody(_Body):
    slot: Slot
    to: str = Field(max_length=40)


class PlanBody(_Body):
    priority: int = Field(ge=1, le=3)
    due_at: datetime | None = None


class DecisionBody(_Body):
    target: State
    reason: str | None = Field(None, max_length=4000)


class QualityBody(_Body):
    value: int
    motion: bool = False
    metal: bool = False
    note: str | None = Field(None, max_length=4000)


class CommentBody(_Body):
    text: str = Field(max_length=4000)
    voxel: tuple[int, int, int] | None = None
    doubtful: bool = False


class ReferenceBody(_Body):
    purpose: Literal["training", "test"]


class AdmissionBody(_Body):
    account: str = Field(max_length=40)
    passed: bool
    reason: str = Field(min_length=1, max_length=4000)


class ExperienceBody(_Body):
    since: date


@router.get("/workitems")
def list_workitems(
    request: Request,
    site: SiteDependency,
    account: Expert,
    tab: Annotated[Tab, Query()] = Tab.ANNOTATE,
    mine: Annotated[bool, Query()] = False,
) -> list[dict[str, Any]]:
    """The rows of a tab of the queue, as this account sees them."""
    with refusals(), site.connection() as connection:
        tasks = opening.tasks_of(site.context)
        rows = listing.list_rows(connection, account, tab, tasks, site.context.now(), mine=mine)
        audit(connection, request, "review queue", account)
    return [answers.row(each) for each in rows]


@router.post("/workitems", status_code=201)
def make_workitem(request: Request, site: SiteDependency, account: Lead, body: NewWorkitemBody) -> dict[str, Any]:
    with refusals():
        made = selection.make(site.context, account, selection.Request(**body.model_dump()))
    _audit(request, site, account, "workitem made", made)
    return {"id": made}


@router.get("/workitems/{item}")
def get_workitem(request: Request, site: SiteDependency, account: Expert, item: int) -> dict[str, Any]:
    """One workitem with what this account may see of it."""
    with refusals(), site.connection() as connection:
        opened = opening.open_item(site.context, connection, item, account)
        audit(connection, request, "workitem", account, study_uid=opened.item.study_uid)
        return answers.workitem(connection, opened, account, site.context.now())


@router.post("/workitems/{item}/take")
def take(request: Request, site: SiteDependency, account: Expert, item: int) -> dict[str, Any]:
    with refusals():
        slot = workflow.take(site.context, account, item)
    _audit(request, site, account, "workitem taken", item)
    return {"slot": slot}


@router.post("/workitems/{item}/give-back", status_code=204)
def give_back(request: Request, site: SiteDependency, account: Expert, item: int) -> None:
    with refusals():
        workflow.give_back(site.context, account, item)
    _audit(request, site, account, "workitem given back", item)


@router.post("/workitems/{item}/assign", status_code=204)
def assign(request: Request, site: SiteDependency, account: Lead, item: int, body: AssignBody) -> None:
    with refusals():
        workflow.assign(site.context, account, item, body.slot, person(site, body.to))
    _audit(request, site, account, "workitem assigned", item)


@router.post("/workitems/{item}/plan", status_code=204)
def plan(request: Request, site: SiteDependency, account: Lead, item: int, body: PlanBody) -> None:
    """Change priority and due date."""
    with refusals():
        workflow.plan(site.context, account, item, priority=body.priority, due_at=body.due_at)
    _audit(request, site, account, "workitem planned", item)


@router.post("/workitems/{item}/decision", status_code=204)
def decide(request: Request, site: SiteDependency, account: Expert, item: int, body: DecisionBody) -> None:
    """Take for review (in_review), accepted, returned, disputed, excluded, back from excluded (to_annotate)."""
    with refusals():
        workflow.decide(site.context, account, item, body.target, body.reason)
    _audit(request, site, account, f"workitem {body.target}", item)


@router.post("/workitems/{item}/quality")
def grade(request: Request, site: SiteDependency, account: Expert, item: int, body: QualityBody) -> dict[str, Any]:
    """Grade the images; the state afterwards, for too low a grade excludes."""
    with refusals():
        state = workflow.grade(site.context, account, item, **body.model_dump())
    _audit(request, site, account, "image quality", item)
    return {"state": state}


@router.post("/workitems/{item}/comments", status_code=201)
def comment(request: Request, site: SiteDependency, account: Expert, item: int, body: CommentBody) -> dict[str, Any]:
    with refusals():
        made = workflow.comment(site.context, account, item, body.text, voxel=body.voxel, doubtful=body.doubtful)
    _audit(request, site, account, "comment", item)
    return answers.comment(made)


@router.get("/workitems/{item}/masks/{digest}")
def get_mask(request: Request, site: SiteDependency, account: Expert, item: int, digest: str) -> Response:
    """A mask that this account may see, in the stored form (a NumPy archive)."""
    with refusals(), site.connection() as connection:
        mask = opening.read_mask(site.context, connection, account, item, digest)
        audit(connection, request, "mask", account, study_uid=opening.read_item(connection, item).study_uid)
    return Response(encode(mask), media_type="application/octet-stream")


@router.post("/workitems/{item}/annotations", status_code=201)
async def save(
    request: Request,
    site: SiteDependency,
    account: Expert,
    item: int,
    tool: Annotated[str, Query(min_length=1, max_length=80)],
    base: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None,
    submit: Annotated[bool, Query()] = False,
) -> dict[str, Any]:
    """Keep a version of the mask, in the stored form, drawn on `base`; handed in when `submit`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_MASK_BYTES:
            raise HTTPException(413, gettext("A mask is at most %(size)s MiB.", size=LARGEST_MASK_BYTES >> 20))
    return await run_in_threadpool(_save, request, site, account, item, bytes(body), base, tool, submit=submit)


def _save(
    request: Request, site: Site, account: Account, item: int, body: bytes, base: str | None, tool: str, *, submit: bool
) -> dict[str, Any]:
    try:
        mask = decode(body)
    except ValueError:
        raise HTTPException(
            422, gettext("These bytes are not a stored mask, or not all of one. Nothing was saved.")
        ) from None
    with refusals():
        saved = workflow.save(site.context, account, item, mask, base_digest=base, tool=tool, submit=submit)
    _audit(request, site, account, "mask handed in" if submit else "mask saved", item)
    return answers.annotation(saved)


@router.post("/workitems/{item}/reference", status_code=201)
def add_reference(
    request: Request, site: SiteDependency, account: Lead, item: int, body: ReferenceBody
) -> dict[str, Any]:
    """Make an accepted label a reference case for training or test."""
    with refusals():
        made = course.add_reference(site.context, account, item, Purpose(body.purpose))
    _audit(request, site, account, "reference added", item)
    return {"id": made}


@router.get("/review/tasks")
def list_tasks(site: SiteDependency, account: Expert) -> list[dict[str, Any]]:  # noqa: ARG001
    """Task types with labels, rules and limits."""
    return [task.model_dump() for task in opening.tasks_of(site.context).values()]


@router.get("/review/tasks/{task}/course")
def get_course(site: SiteDependency, account: Expert, task: str) -> dict[str, Any]:
    """Where this account stands with training and test of a task."""
    with refusals(), site.connection() as connection:
        found = find_task(opening.tasks_of(site.context), task)
        return answers.progress(course.progress(site.context, connection, account, found))


@router.post("/review/tasks/{task}/course", status_code=201)
def begin_course(request: Request, site: SiteDependency, account: Expert, task: str) -> dict[str, Any]:
    """Begin the training, or after it the test; the workitems to draw."""
    with refusals():
        made = course.begin(site.context, account, find_task(opening.tasks_of(site.context), task))
    _audit(request, site, account, "course begun", None)
    return {"workitems": made}


@router.get("/review/tasks/{task}/reliability")
def get_reliability(site: SiteDependency, account: Lead, task: str) -> dict[str, Any]:  # noqa: ARG001
    """How well the readers of a task agree, label by label, with 95 % intervals."""
    with refusals(), site.connection() as connection:
        found = find_task(opening.tasks_of(site.context), task)
        return answers.reliability(reliability.of_task(connection, found))


@router.post("/review/tasks/{task}/admissions", status_code=204)
def admit(request: Request, site: SiteDependency, account: Lead, task: str, body: AdmissionBody) -> None:
    """Admit somebody by hand, or take an admission back, with the reason."""
    with refusals():
        qualification.admit(
            site.context, account, person(site, body.account), task, passed=body.passed, reason=body.reason
        )
    with site.connection() as connection:
        audit(connection, request, "admission", account)


@router.put("/review/people/{name}/experience", status_code=204)
def record_experience(request: Request, site: SiteDependency, account: Lead, name: str, body: ExperienceBody) -> None:
    """Record since when somebody reads such images."""
    with refusals():
        qualification.record_experience(site.context, account, person(site, name), body.since)
    with site.connection() as connection:
        audit(connection, request, "experience recorded", account)


@router.get("/review/workload")
def get_workload(site: SiteDependency, account: Lead) -> list[dict[str, Any]]:  # noqa: ARG001
    """Who holds how much, and what they handed in during the last 30 days."""
    with refusals(), site.connection() as connection:
        loads = listing.workload(connection, opening.tasks_of(site.context), site.context.now())
    return [answers.plain(load) for load in loads]


@router.get("/review/accepted")
def list_accepted(
    request: Request, site: SiteDependency, account: Lead, task: Annotated[str | None, Query(max_length=40)] = None
) -> list[dict[str, Any]]:
    """Accepted labels with their images, people and rounds."""
    with site.connection() as connection:
        labels = accepted.list_accepted(connection, task)
        audit(connection, request, "accepted labels", account)
    return [answers.plain(label) for label in labels]


def _audit(request: Request, site: Site, account: Account, action: str, item: int | None) -> None:
    with site.connection() as connection:
        found = workitems.read(connection, item) if item is not None else None
        audit(connection, request, action, account, study_uid=found.study_uid if found else None)
