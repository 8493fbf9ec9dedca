"""Training and the consistency test that admit a reader to a task type; both are workitems of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.context import Context
from services.ledger import annotations, courses, workitem_changes, workitems
from services.ledger.accounts import Account
from services.ledger.courses import Admission, ReferenceCase
from services.ledger.database import Connection
from services.ledger.workitems import Cause, NewWorkitem, Purpose, Slot, State, Workitem
from services.review import sources
from services.review.errors import Conflict, Forbidden
from services.review.masks import Mask, dice
from services.review.qualification import why_not_qualified
from services.review.tasks import Task


@dataclass(frozen=True)
class Progress:
    """How far somebody is with a task's course.

    Attributes:
        training, test: workitems of the last attempt, in order.
        why_not_next: why the next step cannot be begun now, as a sentence; None when `begin` would do something.
    """

    admission: Admission | None
    training: tuple[Workitem, ...]
    test: tuple[Workitem, ...]
    why_not_next: str | None


def progress(context: Context, connection: Connection, account: Account, task: Task) -> Progress:
    """Where an account stands with a task's training and test."""
    items = workitems.of_course(connection, account.name, task.name)
    training, test = _last(items, Purpose.TRAINING), _last(items, Purpose.TEST)
    admission = courses.admission(connection, account.name, task.name)
    refusal = _why_not_next(context, connection, account, task, training, test, admission)
    return Progress(admission, tuple(training), tuple(test), refusal)


def begin(context: Context, account: Account, task: Task) -> list[int]:
    """Begin the next step: the training, then the test, after a failed test another attempt. The new workitems.

    Raises:
        Forbidden: the account is no annotator or lacks the experience.
        Conflict: a step is under way, the account is admitted, or there are too few reference cases.
    """
    with context.pool.connection() as connection:
        connection.execute("SELECT 1 FROM account WHERE name = %s FOR UPDATE", [account.name])
        refusal = why_not_qualified(connection, account, task, Slot.A, context.now().date(), for_course=True)
        if refusal is not None:
            raise Forbidden(refusal)
        now = progress(context, connection, account, task)
        if now.why_not_next is not None:
            raise Conflict(now.why_not_next)
        cases = courses.references(connection, task.name, Purpose.TRAINING)
        purpose = Purpose.TRAINING if cases and not now.training else Purpose.TEST
        if purpose is Purpose.TEST:
            cases = courses.references(connection, task.name, Purpose.TEST)
        attempt = 1 + max((item.attempt for item in now.test), default=0)
        return [_make(connection, account, task, case, attempt) for case in cases]


def settle_test(context: Context, connection: Connection, account: str, task: Task, attempt: int) -> None:
    """Once every case of a test is handed in: mean Dice and ICC of the volumes against the references, and the verdict.

    A label that neither the reader nor the reference has counts for nothing. Without spread between the cases there is
    no ICC, and the test is not passed: it cannot show what it is for.
    """
    items = [
        item
        for item in workitems.of_course(connection, account, task.name)
        if item.purpose is Purpose.TEST and item.attempt == attempt
    ]
    if any(item.state is not State.ANNOTATED for item in items):
        return
    coincide: list[float] = []
    volumes: dict[str, list[tuple[float, float]]] = {label.name: [] for label in task.labels}
    for item in items:
        drawn, reference = _masks(context, connection, item)
        for label in task.labels:
            one, other = drawn.labels == label.value, reference.labels == label.value
            value = dice(one, other)
            if value is not None:
                coincide.append(value)
                volumes[label.name].append((drawn.grid.volume.measure_ml(one), drawn.grid.volume.measure_ml(other)))
    mean = float(np.mean(coincide)) if coincide else None
    agreement = lowest_icc(volumes)
    passed = (
        mean is not None and agreement is not None and mean >= task.admission.dice and agreement >= task.admission.icc
    )
    courses.admit(
        connection, account, task.name, passed=passed, attempt=attempt, cases=len(items), dice=mean, icc=agreement
    )


def lowest_icc(volumes: Mapping[str, Sequence[tuple[float, float]]]) -> float | None:
    """ICC(2,1) of a reader's volumes with the references', by label; None where the cases do not allow it. Pure.

    The lowest of the labels that at least three cases have: labels of different size would agree by that alone. Where
    no label has so many, of all together.
    """
    from services.datasets.evaluation.agreement import icc  # scipy.stats takes a second, and every part imports this

    together = [pair for pairs in volumes.values() for pair in pairs]
    often = [pairs for pairs in volumes.values() if len(pairs) >= 3] or [together]
    found = [icc(np.array(pairs)).value for pairs in often if len(pairs) >= 3]
    return min((value for value in found if value is not None), default=None)


def add_reference(context: Context, by: Account, identifier: int, purpose: Purpose) -> int:
    """Make an accepted workitem's label a reference case for training or test; its identifier.

    Raises:
        Conflict: it is not accepted, or the task has a reference of these images already.
    """
    with context.pool.connection() as connection:
        item = workitems.read(connection, identifier, lock=True)
        standing = annotations.read(connection, item.standing_id) if item and item.standing_id is not None else None
        if item is None or standing is None or item.state is not State.ACCEPTED:
            raise Conflict("Only an accepted label becomes a reference.")
        added = courses.add_reference(
            connection,
            task=item.task,
            purpose=purpose,
            study_uid=item.study_uid,
            series_uid=item.series_uid,
            mask_digest=standing.mask_digest,
            added_by=by.name,
        )
        if added is None:
            raise Conflict("This task has a reference case of these images already.")
        return added


def _why_not_next(
    context: Context,
    connection: Connection,
    account: Account,
    task: Task,
    training: list[Workitem],
    test: list[Workitem],
    admission: Admission | None,
) -> str | None:
    refusal = why_not_qualified(connection, account, task, Slot.A, context.now().date(), for_course=True)
    if refusal is not None:
        return refusal
    if admission is not None and admission.passed:
        return "You are admitted to this task."
    left = sum(item.state is State.TO_ANNOTATE for item in (*training, *test))
    if left:
        return f"{left} of your cases {'is' if left == 1 else 'are'} still to be drawn."
    training_cases = courses.references(connection, task.name, Purpose.TRAINING)
    tests = len(courses.references(connection, task.name, Purpose.TEST))
    if (training or not training_cases) and tests < task.admission.cases:
        return f"The test needs {task.admission.cases} reference cases; there are {tests}. A reviewer adds them."
    return None


def _make(connection: Connection, account: Account, task: Task, case: ReferenceCase, attempt: int) -> int:
    created = workitems.create(
        connection,
        NewWorkitem(
            study_uid=case.study_uid,
            series_uid=case.series_uid,
            task=task.name,
            cause=Cause.COURSE,
            created_by=account.name,
            purpose=case.purpose,
            reference_id=case.id,
            attempt=attempt,
        ),
    )
    item = workitems.read(connection, created) if created is not None else None
    assert item is not None
    workitem_changes.assign(connection, item, Slot.A, account.name, by=account.name)
    return item.id


def _last(items: list[Workitem], purpose: Purpose) -> list[Workitem]:
    own = [item for item in items if item.purpose is purpose]
    attempt = max((item.attempt for item in own), default=0)
    return [item for item in own if item.attempt == attempt]


def _masks(context: Context, connection: Connection, item: Workitem) -> tuple[Mask, Mask]:
    """What was drawn, and the reference."""
    standing = annotations.read(connection, item.standing_id) if item.standing_id is not None else None
    case = courses.reference(connection, item.reference_id) if item.reference_id is not None else None
    assert standing is not None
    assert case is not None
    return sources.get_mask(context.store, standing.mask_digest), sources.get_mask(context.store, case.mask_digest)
