"""Rows of the review: workitems, who holds which part of them, and every move with the reason for it.

What changes them once they are made is in services.ledger.workitem_changes.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg import sql

from services.ledger.database import Connection

CHANNEL = "nightjar_review"
"""Of the notifications that something changed which a queue shows."""


class State(StrEnum):
    """Where a workitem stands; `transition` has the legal moves, services.review.states who may make them."""

    TO_ANNOTATE = "to_annotate"
    ANNOTATED = "annotated"
    IN_REVIEW = "in_review"
    RETURNED = "returned"
    DISPUTED = "disputed"
    ARBITRATED = "arbitrated"
    ACCEPTED = "accepted"
    EXCLUDED = "excluded"

    @property
    def words(self) -> str:
        return self.value.replace("_", " ").capitalize()


class Cause(StrEnum):
    """Why a workitem was made."""

    FLAG = "flag"
    DISAGREEMENT = "disagreement"
    SAMPLE = "sample"
    UNCERTAINTY = "uncertainty"
    HAND = "hand"
    ARRIVAL = "arrival"
    COURSE = "course"


class Purpose(StrEnum):
    """What its labels are for: the dataset, or learning, or being tested."""

    WORK = "work"
    TRAINING = "training"
    TEST = "test"


class Slot(StrEnum):
    """A part of a workitem that one person holds; CONSENSUS is nobody's, Nightjar makes it from A and B."""

    A = "A"
    B = "B"
    REVIEWER = "reviewer"
    ARBITER = "arbiter"
    CONSENSUS = "consensus"

    @property
    def is_annotator(self) -> bool:
        return self in (Slot.A, Slot.B)


@dataclass(frozen=True)
class NewWorkitem:
    """A workitem to be made. Priority 1 immediate to 3 standard; `cause_detail` holds no patient data."""

    study_uid: str
    series_uid: str
    task: str
    cause: Cause
    analysis_id: int | None = None
    cause_detail: str | None = None
    created_by: str | None = None
    priority: int = 3
    due_at: datetime | None = None
    readers: int = 1
    purpose: Purpose = Purpose.WORK
    reference_id: int | None = None
    attempt: int = 1


@dataclass(frozen=True)
class Reading:
    """Who holds a slot; `submitted_id` is the annotation handed in this round, None while they draw."""

    slot: Slot
    account: str
    assigned_by: str
    assigned_at: datetime
    submitted_id: int | None
    submitted_at: datetime | None


@dataclass(frozen=True)
class Decision:
    """One move; source None: made. Account None: by rule."""

    at: datetime
    round: int
    source: State | None
    target: State
    account: str | None
    role: str | None
    reason: str | None


@dataclass(frozen=True)
class Workitem:
    """A correction task as it stands.

    Attributes:
        study_key, series_key: what addresses call them; say nothing about the patient.
        ai_digest: storage key of the answer as a mask; None before it was made, or without an answer.
        standing_id: annotation that stands for the workitem; None before the first is submitted.
        readings: of those who hold a slot, in the order of slots.
    """

    id: int
    study_uid: str
    study_key: str
    series_uid: str
    series_key: str
    study_description: str | None
    modality: str | None
    analysis_id: int | None
    task: str
    purpose: Purpose
    reference_id: int | None
    attempt: int
    state: State
    priority: int
    due_at: datetime | None
    cause: Cause
    cause_detail: str | None
    created_by: str | None
    readers: int
    round: int
    ai_digest: str | None
    standing_id: int | None
    created_at: datetime
    changed_at: datetime
    readings: tuple[Reading, ...]

    @property
    def annotator_slots(self) -> tuple[Slot, ...]:
        return (Slot.A, Slot.B)[: self.readers]

    def reading(self, slot: Slot) -> Reading | None:
        return next((reading for reading in self.readings if reading.slot is slot), None)

    def slot_of(self, account: str) -> Slot | None:
        """The slot an account holds; nobody holds two."""
        return next((reading.slot for reading in self.readings if reading.account == account), None)


_SELECT = sql.SQL("""
    SELECT w.*, md5(w.study_uid) AS study_key, md5(w.series_uid) AS series_key, s.description AS study_description,
           e.modality
    FROM workitem w JOIN study s ON s.study_uid = w.study_uid JOIN series e ON e.series_uid = w.series_uid
    WHERE {condition}
    ORDER BY w.priority, w.due_at NULLS LAST, w.id
""")


def create(connection: Connection, new: NewWorkitem) -> int | None:
    """Make a workitem, to annotate; None when this task has one for this answer already."""
    row = connection.execute(
        """INSERT INTO workitem (study_uid, series_uid, analysis_id, task, purpose, reference_id, attempt, priority,
               due_at, cause, cause_detail, created_by, readers)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id""",
        [
            new.study_uid,
            new.series_uid,
            new.analysis_id,
            new.task,
            new.purpose,
            new.reference_id,
            new.attempt,
            new.priority,
            new.due_at,
            new.cause,
            new.cause_detail,
            new.created_by,
            new.readers,
        ],
    ).fetchone()
    if row is None:
        return None
    identifier = int(row["id"])
    record_decision(connection, identifier, 1, None, State.TO_ANNOTATE, new.created_by, None, new.cause_detail)
    return identifier


def read(connection: Connection, identifier: int, *, lock: bool = False) -> Workitem | None:
    """One workitem, or None; `lock` keeps every other change of it waiting until this transaction ends."""
    if lock:
        connection.execute("SELECT 1 FROM workitem WHERE id = %s FOR UPDATE", [identifier])
    found = _read(connection, sql.SQL("w.id = %s"), [identifier])
    return found[0] if found else None


def list_workitems(
    connection: Connection,
    states: Iterable[State],
    *,
    purposes: Iterable[Purpose] = (Purpose.WORK,),
    account: str | None = None,
    limit: int = 500,
) -> list[Workitem]:
    """Workitems in these states, most urgent first, then by due date; with `account` only those it holds a slot of."""
    condition = sql.SQL("""w.state = ANY(%s) AND w.purpose = ANY(%s)
        AND (%s::text IS NULL OR EXISTS (SELECT FROM reading r WHERE r.workitem_id = w.id AND r.account = %s))""")
    return _read(connection, condition, [list(states), list(purposes), account, account], limit)


def count_states(connection: Connection) -> dict[State, int]:
    """How many workitems are in each state, training and tests left out."""
    rows = connection.execute(
        "SELECT state, count(*) AS n FROM workitem WHERE purpose = 'work' GROUP BY state"
    ).fetchall()
    return {State(row["state"]): row["n"] for row in rows}


def of_study(connection: Connection, study_uid: str) -> list[Workitem]:
    """Workitems of a study that are work."""
    return _read(connection, sql.SQL("w.study_uid = %s AND w.purpose = 'work'"), [study_uid])


def of_answer(connection: Connection, analysis_id: int) -> list[Workitem]:
    """Workitems that correct an answer."""
    return _read(connection, sql.SQL("w.analysis_id = %s AND w.purpose = 'work'"), [analysis_id])


def of_course(connection: Connection, account: str, task: str) -> list[Workitem]:
    """An account's training and test of a task, the oldest first."""
    condition = sql.SQL("""w.task = %s AND w.purpose != 'work'
        AND EXISTS (SELECT FROM reading r WHERE r.workitem_id = w.id AND r.account = %s)""")
    return sorted(_read(connection, condition, [task, account]), key=lambda item: item.id)


def decisions(connection: Connection, identifiers: Sequence[int]) -> dict[int, tuple[Decision, ...]]:
    """Every move of these workitems, oldest first."""
    found: dict[int, list[Decision]] = defaultdict(list)
    for row in connection.execute(
        """SELECT workitem_id, at, round, source, target, account, role, reason FROM decision
           WHERE workitem_id = ANY(%s) ORDER BY id""",
        [list(identifiers)],
    ):
        found[row["workitem_id"]].append(
            Decision(
                row["at"],
                row["round"],
                State(row["source"]) if row["source"] else None,
                State(row["target"]),
                row["account"],
                row["role"],
                row["reason"],
            )
        )
    return {identifier: tuple(each) for identifier, each in found.items()}


def record_decision(connection: Connection, identifier: int, *values: object) -> None:
    """Write a move: round, source, target, account, role, reason."""
    connection.execute(
        """INSERT INTO decision (workitem_id, round, source, target, account, role, reason)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        [identifier, *values],
    )


def _read(
    connection: Connection, condition: sql.Composable, parameters: Sequence[Any], limit: int | None = None
) -> list[Workitem]:
    query = sql.SQL("{} LIMIT {}").format(_SELECT.format(condition=condition), sql.Literal(limit))
    rows = connection.execute(query, list(parameters)).fetchall()
    readings: dict[int, list[Reading]] = defaultdict(list)
    for row in connection.execute(
        """SELECT workitem_id, slot, account, assigned_by, assigned_at, submitted_id, submitted_at
           FROM reading WHERE workitem_id = ANY(%s)""",
        [[row["id"] for row in rows]],
    ):
        readings[row.pop("workitem_id")].append(Reading(**{**row, "slot": Slot(row["slot"])}))
    order = list(Slot)
    return [
        Workitem(
            **{
                **row,
                "purpose": Purpose(row["purpose"]),
                "state": State(row["state"]),
                "cause": Cause(row["cause"]),
                "readings": tuple(sorted(readings[row["id"]], key=lambda reading: order.index(reading.slot))),
            }
        )
        for row in rows
    ]
