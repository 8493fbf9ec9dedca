"""What follows from a mask that was handed in: agreement, consensus, dispute, and the state it leads to."""

from services.context import Context
from services.ledger import annotations, gradings, workitem_changes, workitems
from services.ledger.accounts import Account, Role
from services.ledger.annotations import Annotation
from services.ledger.database import Connection
from services.ledger.jobs import defer
from services.ledger.workitems import Purpose, Slot, State, Workitem
from services.review import agreement, consensus, course, sources
from services.review.masks import Grid, InvalidMask, Mask, dice
from services.review.states import MOVES
from services.review.tasks import Task

MAJORITY, STAPLE = "majority vote", "STAPLE"

Measures = dict[str, dict[str, float | None]]


def check_mask(mask: Mask, grid: Grid, task: Task) -> None:
    """Refuse a mask that lies on another grid than the images, or has a label that the task does not know.

    Raises:
        InvalidMask: with what does not fit.
    """
    if mask.digest != Mask(mask.labels, grid).digest:
        raise InvalidMask("This mask lies on another grid than the workitem's images. Bring it in as an upload.")
    unknown = sorted(set(mask.volumes_ml()) - {label.value for label in task.labels})
    if unknown:
        values = ", ".join(map(str, unknown))
        raise InvalidMask(f"The mask has the value {values}, which is no label of {task.title}.")


def measure(context: Context, item: Workitem, mask: Mask, task: Task) -> Measures:
    """By label that the mask or the answer has: millilitres, and Dice against the answer."""
    answer = sources.get_mask(context.store, item.ai_digest) if item.ai_digest is not None else None
    found: Measures = {}
    for label in task.labels:
        drawn = mask.labels == label.value
        given = answer.labels == label.value if answer is not None else None
        if drawn.any() or (given is not None and given.any()):
            found[label.name] = {
                "volume_ml": mask.grid.volume.measure_ml(drawn),
                "dice_ai": dice(drawn, given) if given is not None else None,
            }
    return found


def hand_in(
    context: Context,
    connection: Connection,
    item: Workitem,
    task: Task,
    slot: Slot,
    account: Account,
    handed: Annotation,
) -> None:
    """Go on from a submitted mask. The caller holds the workitem."""
    if slot.is_annotator:
        hand_in_reading(context, connection, item, task, slot, account.name, handed)
        return
    workitem_changes.hand_in(connection, item, slot, handed.id)
    workitem_changes.let_stand(connection, item, handed.id)
    if slot is Slot.ARBITER:
        move(connection, item, State.ARBITRATED, account.name, Role.ARBITER, None)


def hand_in_reading(
    context: Context, connection: Connection, item: Workitem, task: Task, slot: Slot, author: str, handed: Annotation
) -> None:
    """Go on from an annotator's mask: once every reading of the round is there, annotated, and perhaps disputed.

    The caller holds the workitem.
    """
    workitem_changes.hand_in(connection, item, slot, handed.id)
    _settle_readings(context, connection, item, task, author)


def move(
    connection: Connection,
    item: Workitem,
    target: State,
    account: str | None,
    role: Role | None,
    reason: str | None,
) -> None:
    """Write a legal move; a new round begins where the table says so."""
    workitem_changes.move(
        connection,
        item,
        target,
        account=account,
        role=role.value if role is not None else None,
        reason=reason,
        next_round=MOVES[item.state, target].opens_round,
    )
    if target is State.ACCEPTED and item.purpose is Purpose.WORK:
        defer(connection, "correct", item.id)  # the label goes back to the PACS


def _settle_readings(context: Context, connection: Connection, item: Workitem, task: Task, author: str) -> None:
    """Once every reading of the round is handed in: annotated, and disputed where two differ too much."""
    item = workitems.read(connection, item.id) or item
    handed = [item.reading(slot) for slot in item.annotator_slots]
    identifiers = [each.submitted_id for each in handed if each is not None and each.submitted_id is not None]
    if len(identifiers) < item.readers:
        return
    move(connection, item, State.ANNOTATED, author, Role.ANNOTATOR, None)
    if item.purpose is not Purpose.WORK:
        workitem_changes.let_stand(connection, item, identifiers[0])
        if item.purpose is Purpose.TEST:
            course.settle_test(context, connection, author, task, item.attempt)
    elif item.readers == 1:
        workitem_changes.let_stand(connection, item, identifiers[0])
    else:
        _compare(context, connection, item, task, identifiers)


def _compare(context: Context, connection: Connection, item: Workitem, task: Task, identifiers: list[int]) -> None:
    """Agreement of two readings by label; the consensus that stands until somebody decides; a dispute."""
    by_id = annotations.by_id(connection, identifiers)
    first, second = (sources.get_mask(context.store, by_id[each].mask_digest) for each in identifiers)
    agreed = agreement.compare(first, second, task.labels, task.agreement)
    gradings.save_agreement(connection, item.id, item.round, identifiers[0], identifiers[1], agreed)
    votes = [first.labels, second.labels]
    if item.ai_digest is not None:
        votes.append(sources.get_mask(context.store, item.ai_digest).labels)
    made = _propose(context, connection, item, task, Mask(consensus.majority(votes), first.grid), MAJORITY, None)
    workitem_changes.let_stand(connection, item, made.id)
    reason = agreement.why_disputed(agreed, task.agreement)
    if reason is None:
        return
    estimate = consensus.staple(votes)
    if estimate.labels is not None:
        _propose(context, connection, item, task, Mask(estimate.labels, first.grid), STAPLE, made.mask_digest)
    else:
        reason = f"{reason} {estimate.refused}"
    annotated = workitems.read(connection, item.id) or item
    move(connection, annotated, State.DISPUTED, None, None, reason)


def _propose(
    context: Context,
    connection: Connection,
    item: Workitem,
    task: Task,
    mask: Mask,
    tool: str,
    base_digest: str | None,
) -> Annotation:
    return annotations.append(
        connection,
        item,
        Slot.CONSENSUS,
        author=None,
        base_digest=base_digest,
        mask_digest=sources.put_mask(context.store, mask),
        tool=tool,
        labels=measure(context, item, mask, task),
        submitted=True,
    )
