"""What is known of a workitem beside its masks: image quality, conformance to the protocol, agreement of readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from services.ledger.database import Connection


@dataclass(frozen=True)
class ImageGrade:
    """How good somebody found the images; scale is likert (1 to 5) or grade (1 to 3), more is better."""

    at: datetime
    account: str
    scale: str
    value: int
    motion: bool
    metal: bool
    note: str | None


@dataclass(frozen=True)
class LabelAgreement:
    """One label of two masks on one grid.

    Attributes:
        first_ml, second_ml: volumes.
        dice, nsd, hd95_mm, lesion_f1: as services.datasets.evaluation.overlap measures them; None where both are
            empty, hd95_mm also where one is.
        outside: the measures that are beyond the task's limits.
    """

    label: str
    first_ml: float
    second_ml: float
    dice: float | None
    nsd: float | None
    hd95_mm: float | None
    lesion_f1: float | None
    outside: tuple[str, ...]


@dataclass(frozen=True)
class StoredAgreement(LabelAgreement):
    """How two annotations of a workitem's round agreed on one label."""

    workitem_id: int
    round: int
    first_id: int
    second_id: int


@dataclass(frozen=True)
class ReadingPair:
    """The first two readings of a workitem: who they were, and millilitres by label in each and in the answer."""

    workitem_id: int
    first: str
    second: str
    first_ml: dict[str, float]
    second_ml: dict[str, float]


def grade_images(
    connection: Connection,
    workitem_id: int,
    account: str,
    *,
    scale: str,
    value: int,
    motion: bool,
    metal: bool,
    note: str | None,
) -> None:
    connection.execute(
        """INSERT INTO image_quality (workitem_id, account, scale, value, motion, metal, note)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        [workitem_id, account, scale, value, motion, metal, note],
    )


def image_grades(connection: Connection, workitem_id: int) -> dict[str, ImageGrade]:
    """The latest grade of each account."""
    rows = connection.execute(
        """SELECT DISTINCT ON (account) at, account, scale, value, motion, metal, note FROM image_quality
           WHERE workitem_id = %s ORDER BY account, id DESC""",
        [workitem_id],
    ).fetchall()
    return {row["account"]: ImageGrade(**row) for row in rows}


def save_conformance(connection: Connection, workitem_id: int, protocol: str, lines: list[dict[str, Any]]) -> None:
    """Keep what the images were measured to be; the first measurement stays."""
    connection.execute(
        "INSERT INTO conformance (workitem_id, protocol, lines) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [workitem_id, protocol, Jsonb(lines)],
    )


def conformance(connection: Connection, workitem_id: int) -> list[dict[str, Any]] | None:
    """The lines that were kept; None: the workitem's images were not measured yet."""
    row = connection.execute("SELECT lines FROM conformance WHERE workitem_id = %s", [workitem_id]).fetchone()
    return None if row is None else row["lines"]


def save_agreement(
    connection: Connection,
    workitem_id: int,
    number: int,
    first_id: int,
    second_id: int,
    labels: Sequence[LabelAgreement],
) -> None:
    for each in labels:
        connection.execute(
            """INSERT INTO agreement (workitem_id, round, first_id, second_id, label, first_ml, second_ml, dice, nsd,
                   hd95_mm, lesion_f1, outside)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                workitem_id,
                number,
                first_id,
                second_id,
                each.label,
                each.first_ml,
                each.second_ml,
                each.dice,
                each.nsd,
                each.hd95_mm,
                each.lesion_f1,
                list(each.outside),
            ],
        )


def agreements(connection: Connection, workitem_id: int) -> list[StoredAgreement]:
    """Every comparison of a workitem's readings, oldest first."""
    return _agreements(
        connection.execute("SELECT * FROM agreement WHERE workitem_id = %s ORDER BY id", [workitem_id]).fetchall()
    )


def first_agreements(connection: Connection, task: str) -> list[StoredAgreement]:
    """Of a task's workitems the comparison of round 1, before anybody saw anything of the other."""
    return _agreements(
        connection.execute(
            """SELECT g.* FROM agreement g JOIN workitem w ON w.id = g.workitem_id
               WHERE w.task = %s AND w.purpose = 'work' AND g.round = 1 ORDER BY g.id""",
            [task],
        ).fetchall()
    )


def first_pairs(connection: Connection, task: str) -> list[ReadingPair]:
    """Of a task's workitems the two readings of round 1, also where neither marked anything."""
    rows = connection.execute(
        """SELECT w.id, a.author AS first, b.author AS second, a.labels AS first_labels, b.labels AS second_labels
           FROM workitem w
           JOIN LATERAL (SELECT * FROM annotation WHERE workitem_id = w.id AND slot = 'A' AND round = 1 AND submitted
                         ORDER BY id DESC LIMIT 1) a ON true
           JOIN LATERAL (SELECT * FROM annotation WHERE workitem_id = w.id AND slot = 'B' AND round = 1 AND submitted
                         ORDER BY id DESC LIMIT 1) b ON true
           WHERE w.task = %s AND w.purpose = 'work' AND w.readers = 2 ORDER BY w.id""",
        [task],
    ).fetchall()
    return [
        ReadingPair(
            row["id"], row["first"], row["second"], _volumes(row["first_labels"]), _volumes(row["second_labels"])
        )
        for row in rows
    ]


def _volumes(labels: dict[str, dict[str, float]]) -> dict[str, float]:
    return {name: each["volume_ml"] for name, each in labels.items()}


def _agreements(rows: list[dict[str, Any]]) -> list[StoredAgreement]:
    return [
        StoredAgreement(
            **{key: value for key, value in row.items() if key not in ("id", "at", "outside")},
            outside=tuple(row["outside"]),
        )
        for row in rows
    ]
