"""The queue as one person sees it: tabs, rows in words, and how much everybody has to do."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.ledger import annotations, courses, workitems
from services.ledger.accounts import Account
from services.ledger.annotations import Annotation
from services.ledger.database import Connection
from services.ledger.workitems import Decision, State, Workitem
from services.review import access
from services.review.qualification import years_of
from services.review.tasks import Task

ROWS_SHOWN = 500
_RECENT = timedelta(days=30)


class Tab(StrEnum):
    """A tab of the queue; the value is its name in addresses."""

    ANNOTATE = "annotate"
    REVIEW = "review"
    DISPUTED = "disputed"
    DONE = "done"

    @property
    def states(self) -> tuple[State, ...]:
        return _STATES[self]


_STATES = {
    Tab.ANNOTATE: (State.TO_ANNOTATE, State.RETURNED),
    Tab.REVIEW: (State.ANNOTATED, State.IN_REVIEW, State.ARBITRATED),
    Tab.DISPUTED: (State.DISPUTED,),
    Tab.DONE: (State.ACCEPTED, State.EXCLUDED),
}


@dataclass(frozen=True)
class QueueRow:
    """A workitem in words.

    Attributes:
        holders: who holds it by slot, without those that the reader is blinded to.
        dice: against the answer by label, of the mask that stands; empty while blinded or without one.
        reason: why it is disputed, returned or excluded; None otherwise, and while blinded.
        overdue: whether its due date has passed and it has not ended.
        mine: the slot the reader holds, or None.
    """

    item: Workitem
    title: str
    holders: tuple[tuple[str, str], ...]
    dice: tuple[tuple[str, float], ...]
    unchanged: bool
    reason: str | None
    overdue: bool
    mine: str | None


@dataclass(frozen=True)
class Load:
    """What one person has to do and did.

    Attributes:
        years: of experience; None: not recorded.
        done: handed in during the last 30 days.
        admitted: task types they may annotate.
    """

    name: str
    roles: tuple[str, ...]
    years: int | None
    open_by_slot: dict[str, int]
    overdue: int
    done: int
    admitted: tuple[str, ...]


def list_rows(
    connection: Connection, account: Account, tab: Tab, tasks: dict[str, Task], now: datetime, *, mine: bool = False
) -> list[QueueRow]:
    """The rows of a tab; `mine`: only those the account holds a slot of. The newest first among those that ended."""
    items = workitems.list_workitems(connection, tab.states, account=account.name if mine else None, limit=ROWS_SHOWN)
    if tab is Tab.DONE:
        items.sort(key=lambda item: item.changed_at, reverse=True)
    standing = annotations.by_id(connection, [item.standing_id for item in items if item.standing_id is not None])
    decided = workitems.decisions(connection, [item.id for item in items])
    return [
        describe(item, account, tasks, standing.get(item.standing_id or 0), decided.get(item.id, ()), now)
        for item in items
    ]


def count_tabs(connection: Connection) -> dict[Tab, int]:
    counted = workitems.count_states(connection)
    return {tab: sum(counted.get(state, 0) for state in tab.states) for tab in Tab}


def describe(
    item: Workitem,
    account: Account,
    tasks: dict[str, Task],
    standing: Annotation | None,
    decided: Sequence[Decision],
    now: datetime,
) -> QueueRow:
    """One workitem as an account sees it. Pure."""
    slot = item.slot_of(account.name)
    blinded = access.is_blinded(item, account)
    task = tasks.get(item.task)
    shows = standing is not None and not blinded and item.state not in _STATES[Tab.ANNOTATE]
    return QueueRow(
        item=item,
        title=task.title if task is not None else item.task,
        holders=tuple(
            (reading.slot.value, reading.account)
            for reading in item.readings
            if not blinded or reading.account == account.name
        ),
        dice=tuple(
            (label, each["dice_ai"])
            for label, each in (standing.labels.items() if standing is not None and shows else ())
            if each["dice_ai"] is not None
        ),
        unchanged=bool(standing is not None and shows and standing.unchanged),
        reason=_reason(item, decided, blinded=blinded),
        overdue=item.due_at is not None and item.due_at < now and item.state not in _STATES[Tab.DONE],
        mine=slot.value if slot is not None else None,
    )


def workload(connection: Connection, tasks: dict[str, Task], now: datetime) -> list[Load]:
    """Everybody who takes part, what they hold and what they handed in lately."""
    items = workitems.list_workitems(
        connection, [state for state in State if state not in _STATES[Tab.DONE]], limit=10000
    )
    held: dict[str, Counter[str]] = {}
    overdue: Counter[str] = Counter()
    for item in items:
        for reading in item.readings:
            if reading.submitted_id is not None and reading.slot.is_annotator:
                continue
            held.setdefault(reading.account, Counter())[reading.slot.value] += 1
            overdue[reading.account] += item.due_at is not None and item.due_at < now
    done = annotations.count_submitted(connection, now - _RECENT)
    latest = {(each.account, each.task): each.passed for each in courses.admissions(connection)}
    return [
        Load(
            name=person.name,
            roles=person.roles,
            years=years_of(person.experienced_since, now.date()),
            open_by_slot=dict(held.get(person.name, {})),
            overdue=overdue[person.name],
            done=done.get(person.name, 0),
            admitted=tuple(task for task in tasks if latest.get((person.name, task))),
        )
        for person in courses.list_people(connection)
    ]


def _reason(item: Workitem, decided: Sequence[Decision], *, blinded: bool) -> str | None:
    if item.state not in (State.DISPUTED, State.RETURNED, State.EXCLUDED):
        return None
    last = next((each for each in reversed(decided) if each.target is item.state), None)
    # What the reviewer wrote when returning is for the authors; figures of a dispute are not for a blinded reader.
    if last is None or (blinded and item.state is State.DISPUTED):
        return None
    return last.reason
