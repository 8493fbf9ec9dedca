"""What the demonstration asks the ledger: how each study ended, on what evidence, how fast."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.prediction import Urgency
from services.ledger.database import Connection

END_STATES = frozenset({"analysed", "not_applicable", "failed", "parked"})


@dataclass(frozen=True)
class RoutedSeries:
    """One series of a study, as what it was given to a model (`analysed`), or what routing made of it."""

    series_uid: str
    series_number: int | None
    role: str | None
    reason: str
    analysed: bool


@dataclass(frozen=True)
class FoundFinding:
    label: str
    volume_ml: float
    probability: float


@dataclass(frozen=True)
class StudyOutcome:
    """A study as the ledger has it.

    Attributes:
        seconds_to_flag: from the last instance of the analysed series to the flag, or to the answer when nothing
            was flagged; None without an answer.
        results_pending: results still to be encoded or delivered.
        results_stuck: one sentence per delivery that was given up.
        images: of the answers of models that make images, how many slices went out in all.
        looked: whether a model looked for findings.
    """

    study_uid: str
    state: str
    reason: str
    urgency: Urgency
    seconds_to_flag: float | None
    series: tuple[RoutedSeries, ...]
    findings: tuple[FoundFinding, ...]
    results_pending: int
    results_stuck: tuple[str, ...]
    images: int = 0
    looked: bool = True

    @property
    def ended(self) -> bool:
        return self.state in END_STATES

    @property
    def done(self) -> bool:
        """Ended, and everything that goes out has gone out."""
        return self.ended and self.results_pending == 0


def read_outcomes(connection: Connection, study_uids: Sequence[str]) -> dict[str, StudyOutcome]:
    """The outcome of each study that has arrived, by Study Instance UID."""
    rows = connection.execute(
        """SELECT study_uid, state, coalesce(reason, '') AS reason, urgency,
                  extract(epoch FROM coalesce(flagged_at, analysed_at) - (
                      SELECT max(series.last_instance_at) FROM analysis, jsonb_each_text(inputs) AS input
                      JOIN series ON series_uid = input.value
                      WHERE analysis.study_uid = study.study_uid AND analysis.state != 'superseded'
                  ))::float8 AS seconds,
                  (SELECT count(*) FROM analysis WHERE analysis.study_uid = study.study_uid
                       AND analysis.state = 'analysed' AND encoded_at IS NULL)
                  + (SELECT count(*) FROM delivery JOIN result ON result.id = result_id
                     WHERE result.study_uid = study.study_uid AND delivery.state = 'pending') AS pending,
                  (SELECT count(*) FROM result
                     WHERE result.study_uid = study.study_uid AND kind = 'mr' AND superseded_at IS NULL) AS images,
                  EXISTS (SELECT FROM analysis WHERE analysis.study_uid = study.study_uid
                     AND analysis.state = 'analysed' AND image_key IS NULL) AS looked
           FROM study WHERE study_uid = ANY(%s)""",
        [list(study_uids)],
    ).fetchall()
    return {
        row["study_uid"]: StudyOutcome(
            study_uid=row["study_uid"],
            state=row["state"],
            reason=row["reason"],
            urgency=Urgency(row["urgency"]),
            seconds_to_flag=row["seconds"],
            series=_series(connection, row["study_uid"]),
            findings=_findings(connection, row["study_uid"]),
            results_pending=row["pending"],
            results_stuck=_stuck(connection, row["study_uid"]),
            images=row["images"],
            looked=row["looked"],
        )
        for row in rows
    }


def _series(connection: Connection, study_uid: str) -> tuple[RoutedSeries, ...]:
    rows = connection.execute(
        """SELECT series_uid, series_number,
                  coalesce((SELECT key FROM analysis, jsonb_each_text(inputs)
                            WHERE analysis.study_uid = series.study_uid AND analysis.state != 'superseded'
                              AND value = series_uid ORDER BY analysis.id LIMIT 1), role) AS role,
                  coalesce(role_reason, reason, '') AS reason,
                  EXISTS (SELECT FROM analysis, jsonb_each_text(inputs)
                          WHERE analysis.study_uid = series.study_uid AND analysis.state != 'superseded'
                            AND value = series_uid) AS analysed
           FROM series WHERE study_uid = %s ORDER BY series_number NULLS LAST, series_uid""",
        [study_uid],
    ).fetchall()
    return tuple(RoutedSeries(**row) for row in rows)


def _findings(connection: Connection, study_uid: str) -> tuple[FoundFinding, ...]:
    rows = connection.execute(
        """SELECT label, volume_ml, probability FROM finding JOIN analysis ON analysis.id = analysis_id
           WHERE study_uid = %s AND state != 'superseded' ORDER BY finding.urgency, probability DESC, label""",
        [study_uid],
    ).fetchall()
    return tuple(FoundFinding(**row) for row in rows)


def _stuck(connection: Connection, study_uid: str) -> tuple[str, ...]:
    rows = connection.execute(
        """SELECT kind, destination, coalesce(delivery.reason, '') AS reason
           FROM delivery JOIN result ON result.id = result_id
           WHERE study_uid = %s AND delivery.state = 'parked' ORDER BY delivery.id""",
        [study_uid],
    ).fetchall()
    return tuple(f"{row['kind'].upper()} to {row['destination']}: {row['reason']}" for row in rows)
