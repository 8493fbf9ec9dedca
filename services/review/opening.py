"""A workitem opened: what one account sees of it, where it would begin to draw, and the transaction that changes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.context import Context
from services.ledger import annotations, workitems
from services.ledger.accounts import Account, Role
from services.ledger.annotations import Annotation, Comment
from services.ledger.database import Connection
from services.ledger.workitems import Purpose, Slot, Workitem
from services.review import access, sources
from services.review.access import Shown
from services.review.errors import NotFound
from services.review.masks import Mask
from services.review.tasks import Task, find_task, load_tasks


@dataclass(frozen=True)
class Opened:
    """A workitem as one account may see it.

    Attributes:
        slot: the account's, or None.
        why_not: why it may not draw now, as a sentence; None when it may.
        start_digest: mask to begin from; None: nothing.
        latest: what the account saved last in this round, or None.
        shown: masks it may look at.
    """

    item: Workitem
    task: Task
    slot: Slot | None
    why_not: str | None
    start_digest: str | None
    latest: Annotation | None
    shown: tuple[Shown, ...]
    comments: tuple[Comment, ...]

    @property
    def may_draw(self) -> bool:
        return self.why_not is None


def tasks_of(context: Context) -> dict[str, Task]:
    """The task types of this installation, by name."""
    return load_tasks(context.settings.review.tasks)


def open_item(context: Context, connection: Connection, identifier: int, account: Account) -> Opened:
    """A workitem as `account` may see it.

    Raises:
        NotFound: there is none.
    """
    item = read_item(connection, identifier)
    task = find_task(tasks_of(context), item.task)
    if item.purpose is Purpose.WORK and item.ai_digest is None:
        sources.keep_answer(context, connection, item)
        item = read_item(connection, identifier)
    slot = item.slot_of(account.name)
    if item.purpose is not Purpose.WORK and slot is None and Role.ADMINISTRATOR not in account.roles:
        raise NotFound("There is no such workitem here.")
    return Opened(
        item=item,
        task=task,
        slot=slot,
        why_not=access.why_not_draw(item, account.name),
        start_digest=start_digest(connection, item, slot, account.name, task),
        latest=annotations.latest(connection, item, slot, account.name) if slot is not None else None,
        shown=access.shown(connection, item, account, task),
        comments=access.visible_comments(connection, item, account),
    )


def read_mask(context: Context, connection: Connection, account: Account, identifier: int, mask_digest: str) -> Mask:
    """A mask of a workitem that the account may look at.

    Raises:
        NotFound: there is none of this digest that it may see.
    """
    opened = open_item(context, connection, identifier, account)
    visible = {each.mask_digest for each in opened.shown} | {opened.start_digest}
    if mask_digest not in visible:
        raise NotFound("There is no such mask here.")
    return sources.get_mask(context.store, mask_digest)


def start_digest(connection: Connection, item: Workitem, slot: Slot | None, account: str, task: Task) -> str | None:
    """What somebody begins to draw on: their own last mask, what stands, the answer, or nothing."""
    if slot is None:
        return None
    own = [
        each for each in annotations.of_workitem(connection, item.id) if each.slot is slot and each.author == account
    ]
    if own:
        return own[-1].mask_digest
    if not slot.is_annotator:
        standing = annotations.read(connection, item.standing_id) if item.standing_id is not None else None
        return standing.mask_digest if standing is not None else item.ai_digest
    return item.ai_digest if task.readers.start == "answer" and item.purpose is Purpose.WORK else None


def read_item(connection: Connection, identifier: int, *, lock: bool = False) -> Workitem:
    """One workitem.

    Raises:
        NotFound: there is none.
    """
    item = workitems.read(connection, identifier, lock=lock)
    if item is None:
        raise NotFound("There is no such workitem here.")
    return item


def series_of(context: Context, identifier: int) -> str:
    """Series Instance UID of what the workitem's masks lie on."""
    with context.pool.connection() as connection:
        return read_item(connection, identifier).series_uid


@contextmanager
def changing(context: Context, identifier: int) -> Iterator[tuple[Connection, Workitem, Task]]:
    """One transaction that nobody else changes the workitem in."""
    with context.pool.connection() as connection:
        item = read_item(connection, identifier, lock=True)
        yield connection, item, find_task(tasks_of(context), item.task)
