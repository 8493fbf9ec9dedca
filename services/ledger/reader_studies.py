"""Rows of reader studies: images of several arms, and what readers gave them, alone or in pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg.types.json import Jsonb

from services.ledger.database import Connection
from services.ledger.images import InstanceFacts, SeriesContent
from services.ledger.routing import combine_digests


class Design(StrEnum):
    """What a reader sees at once: one image, or the reference and another arm of a case side by side."""

    SINGLE = "single"
    PAIRS = "pairs"


@dataclass(frozen=True)
class ReaderStudy:
    """A reader study.

    Attributes:
        arms: the first is what the others are held against.
        margin: of non-inferiority, points of the seven-point scale.
        seed: what every reader's order and sides are drawn from; nobody who rates may know it.
    """

    id: int
    name: str
    arms: tuple[str, ...]
    margin: float
    design: Design
    seed: str
    created_by: str
    created_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True)
class StudyImage:
    """One series of one arm; images of one study are one case."""

    id: int
    study_uid: str
    series_uid: str
    arm: str


@dataclass(frozen=True)
class Rating:
    """What one reader gave one image: 1 to 7 by question."""

    image_id: int
    study_uid: str
    arm: str
    account: str
    scores: dict[str, int]


@dataclass(frozen=True)
class Preference:
    """What one reader said of a pair: -3 to 3 by question, above 0 where the arm is better than the reference."""

    reference_id: int
    other_id: int
    study_uid: str
    arm: str
    account: str
    reference_left: bool
    scores: dict[str, int]


@dataclass(frozen=True)
class HeldSeries:
    """A series of a study that may be an arm: received, or written by a model."""

    series_uid: str
    key: str
    number: int | None
    description: str | None
    modality: str | None


def create(
    connection: Connection, name: str, arms: Sequence[str], margin: float, created_by: str, design: Design
) -> int | None:
    """Make a reader study; None when its name is taken."""
    row = connection.execute(
        """INSERT INTO reader_study (name, arms, margin, created_by, design) VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT DO NOTHING RETURNING id""",
        [name, list(arms), margin, created_by, design],
    ).fetchone()
    return None if row is None else int(row["id"])


def list_studies(connection: Connection) -> list[ReaderStudy]:
    return [_study(row) for row in connection.execute("SELECT * FROM reader_study ORDER BY id").fetchall()]


def read(connection: Connection, identifier: int, *, lock: bool = False) -> ReaderStudy | None:
    """One reader study; `lock` keeps it from being closed until this transaction ends."""
    query = "SELECT * FROM reader_study WHERE id = %s" + (" FOR UPDATE" if lock else "")
    row = connection.execute(query.encode(), [identifier]).fetchone()
    return _study(row) if row else None


def close(connection: Connection, identifier: int) -> None:
    connection.execute(
        "UPDATE reader_study SET closed_at = clock_timestamp() WHERE id = %s AND closed_at IS NULL", [identifier]
    )


def add_image(connection: Connection, identifier: int, study_uid: str, series_uid: str, arm: str) -> bool:
    """Add a series as one arm of a case; False when the case has this arm already."""
    return bool(
        connection.execute(
            """INSERT INTO reader_study_image (reader_study_id, study_uid, series_uid, arm) VALUES (%s, %s, %s, %s)
               ON CONFLICT DO NOTHING""",
            [identifier, study_uid, series_uid, arm],
        ).rowcount
    )


def images(connection: Connection, identifier: int) -> list[StudyImage]:
    rows = connection.execute(
        "SELECT id, study_uid, series_uid, arm FROM reader_study_image WHERE reader_study_id = %s ORDER BY id",
        [identifier],
    ).fetchall()
    return [StudyImage(**row) for row in rows]


def rate(connection: Connection, image_id: int, account: str, scores: Mapping[str, int]) -> bool:
    """Keep a rating; False when this reader rated this image already."""
    return bool(
        connection.execute(
            "INSERT INTO reader_study_rating (image_id, account, scores) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [image_id, account, Jsonb(dict(scores))],
        ).rowcount
    )


def prefer(
    connection: Connection,
    reference_id: int,
    other_id: int,
    account: str,
    scores: Mapping[str, int],
    *,
    reference_left: bool,
) -> bool:
    """Keep what a reader said of a pair; False when this reader rated it already."""
    return bool(
        connection.execute(
            """INSERT INTO reader_study_preference (reference_id, other_id, account, reference_left, scores)
               VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            [reference_id, other_id, account, reference_left, Jsonb(dict(scores))],
        ).rowcount
    )


def ratings(connection: Connection, identifier: int) -> list[Rating]:
    rows = connection.execute(
        """SELECT r.image_id, i.study_uid, i.arm, r.account, r.scores
           FROM reader_study_rating r JOIN reader_study_image i ON i.id = r.image_id
           WHERE i.reader_study_id = %s ORDER BY r.id""",
        [identifier],
    ).fetchall()
    return [Rating(**row) for row in rows]


def preferences(connection: Connection, identifier: int) -> list[Preference]:
    rows = connection.execute(
        """SELECT p.reference_id, p.other_id, i.study_uid, i.arm, p.account, p.reference_left, p.scores
           FROM reader_study_preference p JOIN reader_study_image i ON i.id = p.other_id
           WHERE i.reader_study_id = %s ORDER BY p.id""",
        [identifier],
    ).fetchall()
    return [Preference(**row) for row in rows]


def held_series(connection: Connection, study_uid: str) -> list[HeldSeries]:
    """The MR and CT series of a study, received or written by a model."""
    rows = connection.execute(
        """SELECT series_uid, md5(series_uid) AS key, series_number AS number, description, modality
           FROM held_series WHERE study_uid = %s AND modality IN ('MR', 'CT') ORDER BY series_number, series_uid""",
        [study_uid],
    ).fetchall()
    return [HeldSeries(**row) for row in rows]


def held_content(connection: Connection, study_uid: str, series_uid: str) -> SeriesContent:
    """The instances of such a series."""
    rows = connection.execute(
        "SELECT digest, attributes FROM held_instance WHERE series_uid = %s ORDER BY sop_instance_uid", [series_uid]
    ).fetchall()
    modality = connection.execute("SELECT modality FROM held_series WHERE series_uid = %s", [series_uid]).fetchone()
    return SeriesContent(
        study_uid=study_uid,
        series_uid=series_uid,
        modality=modality["modality"] if modality else None,
        instances=tuple(InstanceFacts(row["digest"], row["attributes"] or {}) for row in rows),
        digest=combine_digests(sorted(row["digest"] for row in rows)),
    )


def _study(row: dict[str, Any]) -> ReaderStudy:
    return ReaderStudy(**{**row, "arms": tuple(row["arms"]), "design": Design(row["design"]), "seed": str(row["seed"])})
