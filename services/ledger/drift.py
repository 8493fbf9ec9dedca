"""Figures of the studies that a version answered, and the reference they are held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import log2
from typing import Any

from psycopg.types.json import Jsonb

from services.ledger.database import Connection

RECENT = 200
"""The newest studies, which are held against the reference."""
MOST = 2000
"""Studies of a reference, at most."""

_IMAGES = """
    (SELECT jsonb_object_agg(i.role, coalesce(a.figures -> i.role, '{}') || jsonb_strip_nulls(jsonb_build_object(
                'scanner', nullif(left(concat_ws(' ', s.attributes ->> 'Manufacturer',
                                                 s.attributes ->> 'ManufacturerModelName'), 80), ''),
                'role score', s.role_score)))
     FROM jsonb_each_text(a.inputs) AS i (role, uid) JOIN series s ON s.series_uid = i.uid) AS images
"""


@dataclass(frozen=True)
class Reference:
    """What a version's images and answers were like; `spreads` as `services.lifecycle.drift` writes them."""

    model: str
    version: str
    at: datetime
    studies: int
    spreads: dict[str, Any]


def answered(
    connection: Connection, model: str, weights_digest: str, *, after: datetime | None = None, most: int = RECENT
) -> list[dict[str, float | str]]:
    """The newest studies that a version answered in readers' sight: figures of images and answers by name."""
    rows = connection.execute(
        f"""SELECT {_IMAGES}, a.probabilities, EXISTS (SELECT FROM finding WHERE analysis_id = a.id) AS flag,
                   (SELECT jsonb_object_agg(label, volume_ml) FROM finding WHERE analysis_id = a.id) AS volumes
            FROM analysis a WHERE a.model = %s AND a.weights_digest = %s AND a.state = 'analysed'
              AND (%s::timestamptz IS NULL OR a.analysed_at > %s) ORDER BY a.id DESC LIMIT %s""",
        [model, weights_digest, after, after, most],
    ).fetchall()
    return [_observation(row) for row in rows]


def answered_unseen(
    connection: Connection, model: str, weights_digest: str, *, most: int = MOST
) -> list[dict[str, float | str]]:
    """Likewise of the studies that it answered as a shadow."""
    rows = connection.execute(
        f"""SELECT {_IMAGES}, s.probabilities, s.flag,
                   (SELECT jsonb_object_agg(key, value -> 'volume_ml') FROM jsonb_each(s.labels)) AS volumes
            FROM shadow_answer s JOIN analysis a ON a.id = s.analysis_id
            WHERE s.model = %s AND s.weights_digest = %s AND s.failure IS NULL AND a.weights_digest != s.weights_digest
            ORDER BY s.id DESC LIMIT %s""",
        [model, weights_digest, most],
    ).fetchall()
    return [_observation(row) for row in rows]


def save_reference(
    connection: Connection, model: str, version: str, weights_digest: str, *, studies: int, spreads: Mapping[str, Any],
    account: str,
) -> None:  # fmt: skip
    """Append what later studies are held against from now on."""
    connection.execute(
        """INSERT INTO drift_reference (model, version, weights_digest, studies, spreads, account)
           VALUES (%s, %s, %s, %s, %s, %s)""",
        [model, version, weights_digest, studies, Jsonb(dict(spreads)), account],
    )


def reference_of(connection: Connection, model: str, weights_digest: str) -> Reference | None:
    """The newest of a version; None: there is none."""
    row = connection.execute(
        """SELECT model, version, at, studies, spreads FROM drift_reference
           WHERE model = %s AND weights_digest = %s ORDER BY id DESC LIMIT 1""",
        [model, weights_digest],
    ).fetchone()
    return None if row is None else Reference(**row)


def _observation(row: dict[str, Any]) -> dict[str, float | str]:
    found: dict[str, float | str] = {
        f"{role} {name}": value for role, figures in (row["images"] or {}).items() for name, value in figures.items()
    }
    probabilities = row["probabilities"] or {}
    if not probabilities:
        return found
    found["flag"] = "yes" if row["flag"] else "no"
    found["entropy"] = sum(map(_bits, probabilities.values())) / len(probabilities)
    volumes = row["volumes"] or {}
    return found | {f"{label} mL": float(volumes.get(label) or 0) for label in probabilities}


def _bits(probability: float) -> float:
    """Entropy of yes and no."""
    return -sum(p * log2(p) for p in (probability, 1 - probability) if p > 0)
