"""Rows of the infer stage: an analysis starts, ends, and says what it found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from models.prediction import Finding, Urgency
from services.ledger.database import Connection


@dataclass(frozen=True)
class Analysis:
    """One model version on one input, as the worker needs it."""

    id: int
    study_uid: str
    model: str
    model_version: str
    weights_digest: str
    inputs: dict[str, str]
    input_digest: str
    state: str
    attempts: int


def start(connection: Connection, analysis_id: int) -> Analysis | None:
    """Take an analysis to `running`; None when there is nothing left to do for it.

    One found running belonged to a worker that died: its job is ours now.
    """
    row = connection.execute("SELECT * FROM analysis WHERE id = %s FOR UPDATE", [analysis_id]).fetchone()
    if row is None or row["state"] not in ("queued", "running"):
        return None
    connection.execute(
        """UPDATE analysis SET state = 'running', reason = NULL, started_at = clock_timestamp(), attempts = attempts + 1
           WHERE id = %s""",
        [analysis_id],
    )
    return Analysis(
        id=row["id"],
        study_uid=row["study_uid"],
        model=row["model"],
        model_version=row["model_version"],
        weights_digest=row["weights_digest"],
        inputs=row["inputs"],
        input_digest=row["input_digest"],
        state="running",
        attempts=row["attempts"] + 1,
    )


def wait_again(connection: Connection, analysis_id: int, reason: str) -> None:
    """Back to `queued` with the reason of the failed try."""
    connection.execute(
        "UPDATE analysis SET state = 'queued', reason = %s WHERE id = %s AND state = 'running'", [reason, analysis_id]
    )


def supersede(connection: Connection, analysis_id: int, reason: str) -> None:
    connection.execute(
        "UPDATE analysis SET state = 'superseded', reason = %s WHERE id = %s AND state != 'superseded'",
        [reason, analysis_id],
    )


def finish(
    connection: Connection,
    analysis: Analysis,
    *,
    findings: Sequence[Finding],
    urgency: Urgency,
    probabilities: dict[str, float],
    slice_probabilities: dict[str, list[float]],
    measurements: dict[str, float],
    parameters: dict[str, Any],
    segmentation_key: str,
    preview_key: str,
    image_key: str | None = None,
    figures: Mapping[str, Mapping[str, float]] | None = None,
) -> bool:
    """Commit an answer and raise the study's urgency; False when the analysis was superseded meanwhile.

    Args:
        figures: of the images, by role and name.
    """
    _lock_study(connection, analysis.study_uid)
    row = connection.execute("SELECT state FROM analysis WHERE id = %s FOR UPDATE", [analysis.id]).fetchone()
    if row is None or row["state"] != "running":
        return False
    connection.execute("DELETE FROM finding WHERE analysis_id = %s", [analysis.id])
    for finding in findings:
        connection.execute(
            """INSERT INTO finding (analysis_id, label, probability, volume_ml, urgency, key_slice,
                   volume_low_ml, volume_high_ml, abc2_ml)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                analysis.id,
                finding.label,
                finding.probability,
                finding.volume_ml,
                finding.urgency,
                finding.key_slice,
                *(finding.volume_range_ml or (None, None)),
                finding.abc2_ml,
            ],
        )
    connection.execute(
        """UPDATE analysis SET state = 'analysed', reason = NULL, urgency = %s, probabilities = %s,
               slice_probabilities = %s, measurements = %s, parameters = %s, segmentation_key = %s, preview_key = %s,
               image_key = %s, figures = %s, analysed_at = clock_timestamp()
           WHERE id = %s""",
        [
            urgency,
            Jsonb(probabilities),
            Jsonb(slice_probabilities),
            Jsonb(measurements),
            Jsonb(parameters),
            segmentation_key,
            preview_key,
            image_key,
            Jsonb({role: dict(values) for role, values in (figures or {}).items()}),
            analysis.id,
        ],
    )
    connection.execute(
        """UPDATE study SET urgency = least(urgency, %s),
               flagged_at = CASE WHEN %s THEN coalesce(flagged_at, clock_timestamp()) ELSE flagged_at END
           WHERE study_uid = %s""",
        [urgency, bool(findings), analysis.study_uid],
    )
    settle_study(connection, analysis.study_uid)
    return True


def fail(connection: Connection, analysis_id: int, reason: str) -> None:
    """End an analysis as failed, visibly; its findings, if any, stay, for nothing lowers a priority."""
    connection.execute(
        "SELECT 1 FROM study WHERE study_uid = (SELECT study_uid FROM analysis WHERE id = %s) FOR UPDATE", [analysis_id]
    )
    row = connection.execute(
        """UPDATE analysis SET state = 'failed', reason = %s
           WHERE id = %s AND state IN ('queued', 'running', 'analysed') RETURNING study_uid""",
        [reason, analysis_id],
    ).fetchone()
    if row is not None:
        settle_study(connection, row["study_uid"])


def settle_study(connection: Connection, study_uid: str) -> None:
    """Give a study its end state once every current analysis has ended; a failed one makes it failed."""
    _lock_study(connection, study_uid)
    connection.execute(
        """WITH current AS (SELECT state, reason FROM analysis WHERE study_uid = %(study)s AND state != 'superseded')
           UPDATE study SET
               state = CASE WHEN EXISTS (SELECT FROM current WHERE state = 'failed') THEN 'failed' ELSE 'analysed' END,
               reason = (SELECT reason FROM current WHERE state = 'failed' LIMIT 1),
               analysed_at = clock_timestamp()
           WHERE study_uid = %(study)s AND state IN ('analysing', 'analysed')
             AND NOT EXISTS (SELECT FROM current WHERE state IN ('queued', 'running'))
             AND EXISTS (SELECT FROM current)""",
        {"study": study_uid},
    )


def _lock_study(connection: Connection, study_uid: str) -> None:
    """Every stage takes the study before its series and analyses, so that no two wait for each other."""
    connection.execute("SELECT 1 FROM study WHERE study_uid = %s FOR UPDATE", [study_uid])


def instance_keys(connection: Connection, series_uid: str) -> list[str]:
    """Storage keys of a series' instances, conflicts left out."""
    rows = connection.execute(
        "SELECT digest FROM instance WHERE series_uid = %s AND NOT conflict ORDER BY id", [series_uid]
    ).fetchall()
    return [row["digest"] for row in rows]
