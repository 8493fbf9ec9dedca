"""Answers of versions that do not serve, beside the live ones, and which version was promoted on what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from services.ledger.database import Connection


@dataclass(frozen=True)
class LiveAnswer:
    """An answer that readers see, as another is compared with it; volumes by label, of findings alone."""

    analysis_id: int
    model: str
    version: str
    weights_digest: str
    inputs: dict[str, str]
    volumes_ml: dict[str, float]
    segmentation_key: str
    seconds: float

    @property
    def side(self) -> "Side":
        return Side(self.version, self.weights_digest, bool(self.volumes_ml), self.seconds, self.segmentation_key)


@dataclass(frozen=True)
class Side:
    """One of two answers to the same input, as they are compared."""

    version: str
    weights_digest: str
    flag: bool
    seconds: float
    segmentation_key: str


@dataclass(frozen=True)
class Pair:
    """One study, both answers; `expert_key` is the mask that experts accepted for the one they saw, if they did."""

    failure: str | None
    flag: bool | None
    live_flag: bool
    labels: dict[str, dict[str, float | None]]
    seconds: float | None
    live_seconds: float
    segmentation_key: str | None
    live_segmentation_key: str
    expert_key: str | None


def load_live(connection: Connection, analysis_id: int) -> LiveAnswer | None:
    """The live answer; None when it is no longer what the study shows."""
    row = connection.execute(
        """SELECT *, extract(epoch FROM analysed_at - started_at)::float8 AS seconds
           FROM analysis WHERE id = %s AND state = 'analysed' AND segmentation_key IS NOT NULL""",
        [analysis_id],
    ).fetchone()
    if row is None:
        return None
    findings = connection.execute("SELECT label, volume_ml FROM finding WHERE analysis_id = %s", [analysis_id])
    return LiveAnswer(
        analysis_id=row["id"],
        model=row["model"],
        version=row["model_version"],
        weights_digest=row["weights_digest"],
        inputs=row["inputs"],
        volumes_ml={found["label"]: float(found["volume_ml"]) for found in findings.fetchall()},
        segmentation_key=row["segmentation_key"],
        seconds=float(row["seconds"]),
    )


def save(
    connection: Connection, shown: LiveAnswer, unseen: Side, labels: Mapping[str, Mapping[str, float | None]], *,
    probabilities: Mapping[str, float], canary: bool,
) -> None:  # fmt: skip
    """Keep both answers to an input; what is there already stays.

    Args:
        labels: as the table holds them, the new version's volume first.
        probabilities: the unseen version's.
        canary: it is the new version's that readers see.
    """
    new, live = (shown.side, unseen) if canary else (unseen, shown.side)
    connection.execute(
        """INSERT INTO shadow_answer (analysis_id, model, version, weights_digest, live_version, live_weights_digest,
               flag, live_flag, labels, seconds, live_seconds, segmentation_key, live_segmentation_key,
               probabilities) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
        [
            shown.analysis_id,
            shown.model,
            new.version,
            new.weights_digest,
            live.version,
            live.weights_digest,
            new.flag,
            live.flag,
            Jsonb(dict(labels)),
            new.seconds,
            live.seconds,
            new.segmentation_key,
            live.segmentation_key if canary else None,
            Jsonb(dict(probabilities)),
        ],
    )


def save_failure(connection: Connection, live: LiveAnswer, version: str, weights_digest: str, failure: str) -> None:
    """Count against a version that it did not answer an input that the live one did."""
    connection.execute(
        """INSERT INTO shadow_answer (analysis_id, model, version, weights_digest, live_version, live_weights_digest,
               failure, live_flag, live_seconds) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
        [
            live.analysis_id,
            live.model,
            version,
            weights_digest,
            live.version,
            live.weights_digest,
            failure,
            bool(live.volumes_ml),
            live.seconds,
        ],
    )


def pairs(connection: Connection, model: str, shadow: tuple[str, str], live: tuple[str, str]) -> Sequence[Pair]:
    """All studies that both versions saw.

    Args:
        shadow, live: version and digest of the weights; the live version without a site's calibration or method.
    """
    rows = connection.execute(
        """SELECT s.failure, s.flag, s.live_flag, s.labels, s.seconds, s.live_seconds, s.segmentation_key,
                  coalesce(s.live_segmentation_key, a.segmentation_key) AS live_segmentation_key,
                  (SELECT n.mask_digest FROM workitem w JOIN annotation n ON n.id = w.standing_id
                   WHERE w.analysis_id = a.id AND w.state = 'accepted' AND w.purpose = 'work'
                   ORDER BY w.id DESC LIMIT 1) AS expert_key
           FROM shadow_answer s JOIN analysis a ON a.id = s.analysis_id
           WHERE s.model = %s AND s.version = %s AND s.weights_digest = %s
             AND split_part(s.live_version, '+', 1) = %s AND s.live_weights_digest = %s ORDER BY s.id""",
        [model, *shadow, *live],
    ).fetchall()
    return [Pair(**row) for row in rows]


def record_promotion(
    connection: Connection,
    model: str,
    kind: str,
    *,
    source: str,
    target: str,
    digest: str,
    account: str,
    evidence: Mapping[str, Any],
    reason: str | None = None,
) -> None:
    """Append which version serves from the next start on."""
    connection.execute(
        """INSERT INTO promotion (model, kind, source_version, target_version, target_digest, account, evidence, reason)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        [model, kind, source, target, digest, account, Jsonb(dict(evidence)), reason],
    )
