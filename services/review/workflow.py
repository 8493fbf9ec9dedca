"""What people do with a workitem: take it, draw, hand in, comment, grade, decide. Every rule is enforced here.

Each change is one transaction that holds the workitem's row, so of two people one comes second and is told so.
"""

from datetime import datetime

from services.context import Context
from services.errors import Reject
from services.ledger import annotations, gradings, workitem_changes
from services.ledger.accounts import Account, Role
from services.ledger.annotations import Annotation, Comment
from services.ledger.database import Connection
from services.ledger.workitems import Purpose, Slot, State, Workitem
from services.review import access, settling, sources
from services.review.errors import Conflict, Forbidden
from services.review.masks import Mask
from services.review.opening import changing, series_of, start_digest
from services.review.qualification import why_not_qualified
from services.review.states import refuse_unless_legal, role_for
from services.review.tasks import Task

LONGEST_TEXT = 4000


def take(context: Context, account: Account, identifier: int) -> Slot:
    """Take the slot that is free: a reading, or the arbitration of a dispute. Review is taken by `decide`.

    Raises:
        Forbidden: the account is not qualified.
        Conflict: nothing is free, or it holds another part of this workitem.
    """
    with changing(context, identifier) as (connection, item, task):
        if (held := item.slot_of(account.name)) is not None:
            raise Conflict(f"You hold this workitem already, as {held.value}.")
        turn = [slot for slot in access.DRAWS.get(item.state, ()) if slot in (*item.annotator_slots, Slot.ARBITER)]
        free = [slot for slot in turn if item.reading(slot) is None]
        if not free:
            holders = ", ".join(reading.account for reading in item.readings if reading.slot in turn)
            raise Conflict(
                f"{holders} holds this workitem." if holders else f"This workitem is {item.state.words.lower()}."
            )
        _refuse_unless_qualified(context, connection, account, task, free[0], item)
        workitem_changes.assign(connection, item, free[0], account.name, by=account.name)
        return free[0]


def assign(context: Context, by: Account, identifier: int, slot: Slot, to: Account) -> None:
    """Give a slot that nobody has handed in to somebody qualified.

    Raises:
        Forbidden: `by` is neither reviewer nor administrator, or `to` is not qualified.
        Conflict: `to` holds another slot, or the slot's mask was handed in.
    """
    if not by.roles & {Role.REVIEWER, Role.ADMINISTRATOR}:
        raise Forbidden("Only a reviewer or an administrator assigns workitems.")
    with changing(context, identifier) as (connection, item, task):
        _refuse_course(item)
        if item.state in (State.ACCEPTED, State.EXCLUDED):
            raise Conflict(f"This workitem is {item.state.words.lower()}.")
        if slot not in (*item.annotator_slots, Slot.REVIEWER, Slot.ARBITER):
            raise Conflict(f"This workitem has no reading {slot.value}.")
        if (held := item.slot_of(to.name)) is not None:
            raise Conflict(f"{to.name} holds this workitem already, as {held.value}.")
        reading = item.reading(slot)
        if reading is not None and (
            reading.submitted_id is not None or (slot is Slot.REVIEWER and item.state is State.IN_REVIEW)
        ):
            raise Conflict(f"{reading.account} is at work on this as {slot.value}, or done.")
        if slot.is_annotator and item.state not in (State.TO_ANNOTATE, State.RETURNED):
            raise Conflict(f"This workitem is {item.state.words.lower()}; nobody draws on it now.")
        _refuse_unless_qualified(context, connection, to, task, slot, item)
        workitem_changes.assign(connection, item, slot, to.name, by=by.name)


def plan(context: Context, by: Account, identifier: int, *, priority: int, due_at: datetime | None) -> None:
    """Change priority (1 to 3) and due date.

    Raises:
        Forbidden: `by` is neither reviewer nor administrator.
    """
    if not by.roles & {Role.REVIEWER, Role.ADMINISTRATOR}:
        raise Forbidden("Only a reviewer or an administrator plans workitems.")
    with changing(context, identifier) as (connection, item, _):
        _refuse_course(item)
        workitem_changes.plan(connection, item, priority=priority, due_at=due_at, by=by.name)


def give_back(context: Context, account: Account, identifier: int) -> None:
    """Give one's slot back before handing in. A reviewer gives back by deciding `annotated`.

    Raises:
        Conflict: the account holds nothing, or handed in.
    """
    with changing(context, identifier) as (connection, item, _):
        _refuse_course(item)
        slot = item.slot_of(account.name)
        reading = item.reading(slot) if slot is not None else None
        if slot is None or reading is None or slot not in access.DRAWS.get(item.state, ()):
            raise Conflict("You hold nothing of this workitem that you could give back.")
        if reading.submitted_id is not None:
            raise Conflict("You handed in your mask.")
        if slot is Slot.REVIEWER:
            _move(connection, item, State.ANNOTATED, account, None)
        workitem_changes.unassign(connection, item, slot, by=account.name)


def save(
    context: Context,
    account: Account,
    identifier: int,
    mask: Mask,
    *,
    base_digest: str | None,
    tool: str,
    submit: bool = False,
) -> Annotation:
    """Keep a version of the mask, and hand it in when `submit`; a reviewer's or arbiter's then stands.

    Args:
        base_digest: of the mask it was drawn on: the last one saved, or the start.

    Raises:
        StaleBase: another version was saved meanwhile.
        Conflict: it is not this account's turn, or the image quality is not graded yet.
        InvalidMask: it lies on another grid or has a label that the task does not know.
    """
    grid = sources.read_grid(context, series_of(context, identifier))
    with changing(context, identifier) as (connection, item, task):
        refusal = access.why_not_draw(item, account.name)
        slot = item.slot_of(account.name)
        if refusal is not None or slot is None:
            raise Conflict(refusal or "You do not hold this workitem.")
        settling.check_mask(mask, grid, task)
        if submit and item.purpose is Purpose.WORK and account.name not in gradings.image_grades(connection, item.id):
            raise Conflict("Grade the image quality first, then hand in.")
        if base_digest is not None and annotations.latest(connection, item, slot, account.name) is None:
            _refuse_strange_base(connection, item, account, task, base_digest)
        sources.put_mask(context.store, mask)
        saved = annotations.append(
            connection,
            item,
            slot,
            author=account.name,
            base_digest=base_digest,
            mask_digest=mask.digest,
            tool=tool,
            labels=settling.measure(context, item, mask, task),
            submitted=submit,
            unchanged=submit and mask.digest == item.ai_digest,
        )
        if submit:
            settling.hand_in(context, connection, item, task, slot, account, saved)
        return saved


def comment(
    context: Context,
    account: Account,
    identifier: int,
    text: str,
    *,
    voxel: tuple[int, int, int] | None = None,
    doubtful: bool = False,
) -> Comment:
    """Write a remark, pinned to a voxel (slice, row, column) or of the whole.

    Raises:
        Forbidden: the account holds no part of the workitem.
        Reject: nothing was written, or the voxel is not in the image.
    """
    text = text.strip()
    if not text or len(text) > LONGEST_TEXT:
        raise Reject(f"A comment has 1 to {LONGEST_TEXT} characters.")
    if voxel is not None:
        shape = sources.read_grid(context, series_of(context, identifier)).shape
        if not all(0 <= at < size for at, size in zip(voxel, shape, strict=True)):
            raise Reject(f"There is no voxel {voxel} in an image of {shape} slices, rows and columns.")
    with changing(context, identifier) as (connection, item, _):
        slot = item.slot_of(account.name)
        if slot is None:
            raise Forbidden("Only who holds a part of the workitem comments on it.")
        return annotations.add_comment(
            connection, item, slot, author=account.name, text=text, voxel=voxel, doubtful=doubtful
        )


def grade(
    context: Context,
    account: Account,
    identifier: int,
    value: int,
    *,
    motion: bool = False,
    metal: bool = False,
    note: str | None = None,
) -> State:
    """Grade the images; below the task's least grade the workitem is excluded, and keeps why. The state afterwards.

    Raises:
        Forbidden: the account holds no part of the workitem.
        Conflict: it has ended.
        Reject: the scale does not have this value.
    """
    with changing(context, identifier) as (connection, item, task):
        quality = task.quality
        if value not in quality.words:
            raise Reject(
                f"Image quality is graded {min(quality.words)} to {max(quality.words)}; {value} is none of them."
            )
        if item.slot_of(account.name) is None:
            raise Forbidden("Only who holds a part of the workitem grades its images.")
        if item.state in (State.ACCEPTED, State.EXCLUDED):
            raise Conflict(f"This workitem is {item.state.words.lower()}.")
        gradings.grade_images(
            connection,
            item.id,
            account.name,
            scale=quality.scale,
            value=value,
            motion=motion,
            metal=metal,
            note=(note or "").strip()[:LONGEST_TEXT] or None,
        )
        if value >= quality.least or item.purpose is not Purpose.WORK:
            return item.state
        named = [name for name, is_seen in (("motion", motion), ("metal", metal)) if is_seen]
        reason = f"Image quality {value} ({quality.words[value]}), below {quality.least}"
        reason += f": {' and '.join(named)}." if named else "."
        workitem_changes.move(connection, item, State.EXCLUDED, account=account.name, role=None, reason=reason)
        return State.EXCLUDED


def decide(context: Context, account: Account, identifier: int, target: State, reason: str | None = None) -> None:
    """Move a workitem by a decision: take it for review, accept, return, dispute, exclude, bring back, open again.

    Raises:
        Forbidden: the account lacks the role, or somebody else holds the part that decides.
        Conflict: the workitem's state does not allow it.
    """
    reason = (reason or "").strip()[:LONGEST_TEXT] or None
    with changing(context, identifier) as (connection, item, task):
        _refuse_course(item)
        refuse_unless_legal(item.state, target, account.roles, reason)
        if target in (State.ANNOTATED, State.ARBITRATED) and item.state is not State.IN_REVIEW:
            raise Conflict("This happens when the mask is handed in.")
        slot = item.slot_of(account.name)
        if target is State.EXCLUDED:
            if slot is None and Role.REVIEWER not in account.roles:
                raise Forbidden("Only who holds a part of the workitem excludes it.")
        elif item.state is not State.EXCLUDED:
            _hold_review(context, connection, item, task, account, slot)
        _move(connection, item, target, account, reason)
        if (item.state, target) == (State.IN_REVIEW, State.ANNOTATED):
            workitem_changes.unassign(connection, item, Slot.REVIEWER, by=account.name)


def _hold_review(
    context: Context, connection: Connection, item: Workitem, task: Task, account: Account, slot: Slot | None
) -> None:
    """See to it that the account is the workitem's reviewer; who drew or arbitrated it cannot be."""
    if slot is Slot.REVIEWER:
        return
    if slot is not None:
        raise Forbidden(f"You hold this workitem as {slot.value}; nobody reviews their own work.")
    reading = item.reading(Slot.REVIEWER)
    if reading is not None:
        raise Conflict(f"{reading.account} reviews this workitem.")
    _refuse_unless_qualified(context, connection, account, task, Slot.REVIEWER, item)
    workitem_changes.assign(connection, item, Slot.REVIEWER, account.name, by=account.name)


def _move(connection: Connection, item: Workitem, target: State, account: Account, reason: str | None) -> None:
    refuse_unless_legal(item.state, target, account.roles, reason)
    settling.move(connection, item, target, account.name, role_for(item.state, target, account.roles), reason)


def _refuse_course(item: Workitem) -> None:
    if item.purpose is not Purpose.WORK:
        raise Conflict("Training and tests are not assigned, reviewed or excluded.")


def _refuse_unless_qualified(
    context: Context, connection: Connection, account: Account, task: Task, slot: Slot, item: Workitem
) -> None:
    refusal = why_not_qualified(
        connection, account, task, slot, context.now().date(), for_course=item.purpose is not Purpose.WORK
    )
    if refusal is not None:
        raise Forbidden(refusal)


def _refuse_strange_base(
    connection: Connection, item: Workitem, account: Account, task: Task, base_digest: str
) -> None:
    known = {each.mask_digest for each in access.shown(connection, item, account, task)}
    slot = item.slot_of(account.name)
    if base_digest not in known | {start_digest(connection, item, slot, account.name, task)}:
        raise Conflict("This mask was drawn on one that is not this workitem's. Open the workitem again.")
