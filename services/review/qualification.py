"""Who may hold which part of a workitem: role, experience, admission; and recording the last two."""

from datetime import date

from services.context import Context
from services.errors import Reject
from services.ledger import courses
from services.ledger.accounts import Account, Role
from services.ledger.database import Connection
from services.ledger.workitems import Slot
from services.review.errors import Forbidden
from services.review.opening import tasks_of
from services.review.tasks import Task, find_task

ROLES = {Slot.A: Role.ANNOTATOR, Slot.B: Role.ANNOTATOR, Slot.REVIEWER: Role.REVIEWER, Slot.ARBITER: Role.ARBITER}
"""The role that holding a slot needs."""


def years_of(since: date | None, today: date) -> int | None:
    """Whole years of experience; None: not recorded."""
    if since is None:
        return None
    return today.year - since.year - ((today.month, today.day) < (since.month, since.day))


def why_not_qualified(
    connection: Connection, account: Account, task: Task, slot: Slot, today: date, *, for_course: bool = False
) -> str | None:
    """Why an account may not hold a slot of a task, as a sentence; None when it may.

    Args:
        for_course: the slot is of a training or test, for which nobody needs to be admitted yet.
    """
    role = ROLES[slot]
    if role not in account.roles:
        return f"{account.name} does not have the role {role}."
    needed = task.readers.annotator_years if slot.is_annotator else task.readers.reviewer_years
    years = years_of(courses.experienced_since(connection, account.name), today)
    if needed and years is None:
        return f"The experience of {account.name} is not recorded; this needs {needed} years."
    if needed and years is not None and years < needed:
        return f"{account.name} has {years} years of experience; this needs {needed}."
    if slot.is_annotator and task.admission.required and not for_course:
        admitted = courses.admission(connection, account.name, task.name)
        if admitted is None or not admitted.passed:
            return f"{account.name} is not admitted to {task.title} yet: training and consistency test come first."
    return None


def admit(context: Context, by: Account, person: Account, task: str, *, passed: bool, reason: str) -> None:
    """Admit somebody to a task by hand, or take an admission back.

    Raises:
        Forbidden: it is oneself.
        Reject: there is no such task, or no reason.
    """
    find_task(tasks_of(context), task)
    _refuse_for_oneself(by, person)
    if not reason.strip():
        raise Reject("Say why.")
    with context.pool.connection() as connection:
        courses.admit(connection, person.name, task, passed=passed, decided_by=by.name, reason=reason.strip())


def record_experience(context: Context, by: Account, person: Account, since: date) -> None:
    """Record since when somebody reads such images.

    Raises:
        Forbidden: it is oneself.
        Reject: the date lies ahead.
    """
    _refuse_for_oneself(by, person)
    if since > context.now().date():
        raise Reject("Experience begins today at the latest.")
    with context.pool.connection() as connection:
        courses.record_experience(connection, person.name, since)


def _refuse_for_oneself(by: Account, person: Account) -> None:
    if by.name == person.name:
        raise Forbidden("Somebody else records this for you.")
