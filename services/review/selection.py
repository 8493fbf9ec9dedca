"""Which answers become workitems by themselves, and workitems made by hand."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.errors import InvalidCard
from models.registry import load_card
from services.context import Context
from services.errors import Reject
from services.ledger import selecting, workitems
from services.ledger.accounts import Account, Role
from services.ledger.database import Connection
from services.ledger.jobs import Stage
from services.ledger.selecting import Answer
from services.ledger.workitems import Cause, NewWorkitem
from services.review.errors import Conflict, Forbidden, NotFound
from services.review.opening import tasks_of
from services.review.tasks import Task, find_task


@dataclass(frozen=True)
class Request:
    """A workitem somebody asks for. Study and series by their keys; the series only where routing did not name one."""

    study: str
    task: str
    series: str | None = None
    priority: int | None = None
    due_at: datetime | None = None
    readers: int | None = None


def why_select(answer: Answer, task: Task, points: dict[str, float]) -> tuple[Cause, str | None] | None:
    """Why an answer becomes a workitem: the first rule that holds, with its detail; None when none does. Pure.

    Args:
        points: operating points of the model's labels, as probabilities.
    """
    rules = task.create
    if rules.disagreements and answer.disagreements:
        return Cause.DISAGREEMENT, f"{', '.join(answer.disagreements)}."
    if rules.flags and answer.findings:
        found = ", ".join(f"{label} {volume_ml:.1f} mL" for label, volume_ml in answer.findings)
        return Cause.FLAG, f"{found}."
    for label, point in points.items():
        probability = answer.probabilities.get(label)
        if probability is not None and abs(probability - point) < rules.uncertainty:
            return Cause.UNCERTAINTY, f"{label}: {probability:.2f} beside the operating point {point:.2f}."
    if draw(f"{task.name} share {answer.input_digest}") < rules.share:
        return Cause.SAMPLE, f"One of {rules.share:.0%} of all answers."
    return None


def draw(text: str) -> float:
    """A number from 0 to 1 that is the same for the same text."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12


def run(context: Context, analysis_id: int) -> None:
    """Make the workitems that an answer calls for. The same answer makes each once, however often it is asked."""
    with context.pool.connection() as connection:
        answer = selecting.read_answer(connection, analysis_id)
        if answer is None:
            return
        points = _operating_points(answer)
        for task in tasks_of(context).values():
            series_uid = answer.inputs.get(task.grid)
            if task.model != answer.model or series_uid is None:
                continue
            if selecting.renew_untouched(connection, answer, task.name, series_uid):
                continue
            why = why_select(answer, task, points)
            if why is not None:
                make_for(context, connection, task, answer, *why)


def make_for(
    context: Context,
    connection: Connection,
    task: Task,
    answer: Answer,
    cause: Cause,
    detail: str | None,
    by: str | None = None,
) -> int | None:
    """Make the workitem of an answer that lies on a series in the task's role; None when there is one already.

    Args:
        by: who asked for it; None: a rule did.
    """
    twice = draw(f"{task.name} twice {answer.input_digest}") < task.readers.twice
    return workitems.create(
        connection,
        NewWorkitem(
            study_uid=answer.study_uid,
            series_uid=answer.inputs[task.grid],
            task=task.name,
            cause=cause,
            cause_detail=detail,
            created_by=by,
            analysis_id=answer.analysis_id,
            priority=answer.urgency,
            due_at=context.now() + timedelta(days=task.due_days[answer.urgency]),
            readers=2 if twice else 1,
        ),
    )


def give_up(context: Context, analysis_id: int, reason: str) -> None:
    """Nothing to undo: a workitem can be made by hand; the event says why there is none."""
    with context.pool.connection() as connection:
        selecting.record_failure(connection, analysis_id, reason)


STAGE = Stage("select", run, give_up)


def make(context: Context, by: Account, request: Request) -> int:
    """Make a workitem by hand; its identifier.

    Raises:
        Forbidden: `by` is neither reviewer nor administrator.
        NotFound: there is no such study, or series in it.
        Conflict: the answer has a workitem of this task already.
        Reject: there is no such task, or no series it could lie on.
    """
    if not by.roles & {Role.REVIEWER, Role.ADMINISTRATOR}:
        raise Forbidden("Only a reviewer or an administrator makes workitems.")
    task = find_task(tasks_of(context), request.task)
    priority = request.priority or 3
    with context.pool.connection() as connection:
        study_uid = selecting.find_study(connection, request.study)
        if study_uid is None:
            raise NotFound("There is no such study here.")
        analysis_id, series_uid = selecting.find_grid(connection, study_uid, task.model, task.grid, request.series)
        if series_uid is None:
            raise Reject(
                f"This study has no series in the role {task.grid}, on which {task.title} is drawn. Name the series."
            )
        created = workitems.create(
            connection,
            NewWorkitem(
                study_uid=study_uid,
                series_uid=series_uid,
                task=task.name,
                cause=Cause.HAND,
                analysis_id=analysis_id,
                created_by=by.name,
                priority=priority,
                due_at=request.due_at or context.now() + timedelta(days=task.due_days[priority]),
                readers=request.readers or (2 if task.readers.twice >= 1 else 1),
            ),
        )
        if created is None:
            other = next(
                item.id for item in workitems.of_answer(connection, analysis_id or 0) if item.task == task.name
            )
            raise Conflict(f"This answer has a workitem of this task already: number {other}.")
        return created


def _operating_points(answer: Answer) -> dict[str, float]:
    """Of the model in exactly the version that answered; empty when that is no longer installed."""
    try:
        card = load_card(answer.model)
    except InvalidCard:
        return {}
    if card.version != answer.model_version:
        return {}
    return {label.name: label.operating_point.probability for label in card.labels}
