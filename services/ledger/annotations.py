"""Versions of masks, and remarks on them. Append-only: whoever saves adds a row, and nothing saved is ever lost."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from services.errors import Reject
from services.ledger.database import Connection
from services.ledger.workitems import Slot, Workitem


class StaleBase(Reject):
    """The mask was drawn on a version that is no longer the latest: it was saved from elsewhere meanwhile."""


@dataclass(frozen=True)
class Annotation:
    """A mask as somebody saved it.

    Attributes:
        author: None for what Nightjar made from the readings.
        base_digest: storage key of the mask it was drawn on; None: it began empty.
        mask_digest: storage key of the mask; see services.review.masks for what lies there.
        tool: what drew it, such as "Nightjar editor", "upload: NIfTI" or "majority vote".
        labels: by label name, millilitres as volume_ml and Dice against the answer as dice_ai (None: none to compare).
        submitted: handed in; False: saved on the way.
        unchanged: handed in exactly as the AI drew it.
    """

    id: int
    at: datetime
    workitem_id: int
    slot: Slot
    round: int
    author: str | None
    base_digest: str | None
    mask_digest: str
    tool: str
    labels: dict[str, dict[str, float | None]]
    submitted: bool
    unchanged: bool


@dataclass(frozen=True)
class Comment:
    """A remark; voxel is (slice, row, column) from 0, None: of the whole. Doubtful: the author is unsure here."""

    id: int
    at: datetime
    workitem_id: int
    slot: Slot
    round: int
    author: str
    voxel: tuple[int, int, int] | None
    doubtful: bool
    text: str


def append(
    connection: Connection,
    item: Workitem,
    slot: Slot,
    *,
    author: str | None,
    base_digest: str | None,
    mask_digest: str,
    tool: str,
    labels: dict[str, dict[str, float | None]],
    submitted: bool = False,
    unchanged: bool = False,
) -> Annotation:
    """Add a version. The caller holds the workitem's lock (`workitems.read(..., lock=True)`).

    Raises:
        StaleBase: the author's latest version of this round is another one than `base_digest`.
    """
    last = latest(connection, item, slot, author)
    if last is not None and last.mask_digest != base_digest:
        raise StaleBase(
            f"Another version of this mask was saved at {last.at:%H:%M:%S} UTC, from another window or program. Yours "
            "is not saved; open the workitem again to see that version."
        )
    row = connection.execute(
        """INSERT INTO annotation (workitem_id, slot, round, author, base_digest, mask_digest, tool, labels, submitted,
               unchanged)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING *""",
        [
            item.id,
            slot,
            item.round,
            author,
            base_digest,
            mask_digest,
            tool,
            Jsonb(labels),
            submitted,
            unchanged,
        ],
    ).fetchone()
    assert row is not None
    return _annotation(row)


def latest(connection: Connection, item: Workitem, slot: Slot, author: str | None) -> Annotation | None:
    """The last version that an author saved in a slot, in the workitem's present round."""
    row = connection.execute(
        """SELECT * FROM annotation WHERE workitem_id = %s AND slot = %s AND round = %s
               AND author IS NOT DISTINCT FROM %s
           ORDER BY id DESC LIMIT 1""",
        [item.id, slot, item.round, author],
    ).fetchone()
    return _annotation(row) if row else None


def read(connection: Connection, identifier: int) -> Annotation | None:
    row = connection.execute("SELECT * FROM annotation WHERE id = %s", [identifier]).fetchone()
    return _annotation(row) if row else None


def of_workitem(connection: Connection, identifier: int) -> list[Annotation]:
    """Every version of a workitem, oldest first."""
    rows = connection.execute("SELECT * FROM annotation WHERE workitem_id = %s ORDER BY id", [identifier]).fetchall()
    return [_annotation(row) for row in rows]


def by_id(connection: Connection, identifiers: list[int]) -> dict[int, Annotation]:
    rows = connection.execute("SELECT * FROM annotation WHERE id = ANY(%s)", [identifiers]).fetchall()
    return {row["id"]: _annotation(row) for row in rows}


def count_submitted(connection: Connection, since: datetime) -> dict[str, int]:
    """How many masks each account handed in after `since`, training and tests left out."""
    rows = connection.execute(
        """SELECT n.author, count(*) AS n FROM annotation n JOIN workitem w ON w.id = n.workitem_id
           WHERE n.submitted AND n.author IS NOT NULL AND n.at > %s AND w.purpose = 'work' GROUP BY n.author""",
        [since],
    ).fetchall()
    return {row["author"]: row["n"] for row in rows}


def add_comment(
    connection: Connection,
    item: Workitem,
    slot: Slot,
    *,
    author: str,
    text: str,
    voxel: tuple[int, int, int] | None = None,
    doubtful: bool = False,
) -> Comment:
    row = connection.execute(
        """INSERT INTO comment (workitem_id, slot, round, author, voxel, doubtful, text)
           VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING *""",
        [item.id, slot, item.round, author, list(voxel) if voxel else None, doubtful, text],
    ).fetchone()
    assert row is not None
    return _comment(row)


def comments(connection: Connection, identifier: int) -> list[Comment]:
    """Remarks on a workitem, oldest first, of every slot: services.review.access says who may see which."""
    rows = connection.execute("SELECT * FROM comment WHERE workitem_id = %s ORDER BY id", [identifier]).fetchall()
    return [_comment(row) for row in rows]


def _annotation(row: dict[str, Any]) -> Annotation:
    return Annotation(**{**row, "slot": Slot(row["slot"])})


def _comment(row: dict[str, Any]) -> Comment:
    voxel = row["voxel"]
    return Comment(**{**row, "slot": Slot(row["slot"]), "voxel": (voxel[0], voxel[1], voxel[2]) if voxel else None})
