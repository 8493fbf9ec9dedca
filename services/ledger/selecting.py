"""Answers as the review looks at them to decide whether somebody should correct them."""

from dataclasses import dataclass

from services.ledger.database import Connection
from services.ledger.jobs import record_event
from services.ledger.opinions import Verdict, read_opinions


@dataclass(frozen=True)
class Answer:
    """An analysed analysis.

    Attributes:
        findings: label and mL of each, most urgent first.
        disagreements: reasons for which readers disagree with it now, in words.
        inputs: series by role.
    """

    analysis_id: int
    study_uid: str
    model: str
    model_version: str
    input_digest: str
    urgency: int
    inputs: dict[str, str]
    probabilities: dict[str, float]
    findings: tuple[tuple[str, float], ...]
    disagreements: tuple[str, ...]


def read_answer(connection: Connection, analysis_id: int) -> Answer | None:
    """The answer of an analysis; None while it has none, or when it was superseded."""
    row = connection.execute(
        """SELECT id AS analysis_id, study_uid, model, model_version, input_digest, urgency, inputs, probabilities
           FROM analysis WHERE id = %s AND state = 'analysed'""",
        [analysis_id],
    ).fetchone()
    if row is None:
        return None
    findings = connection.execute(
        "SELECT label, volume_ml FROM finding WHERE analysis_id = %s ORDER BY urgency, volume_ml DESC", [analysis_id]
    ).fetchall()
    opinions = read_opinions(connection, [row["study_uid"]]).get(analysis_id, ())
    return Answer(
        **row,
        findings=tuple((finding["label"], finding["volume_ml"]) for finding in findings),
        disagreements=tuple(
            opinion.reason.words for opinion in opinions if opinion.verdict is Verdict.DISAGREE and opinion.reason
        ),
    )


def renew_untouched(connection: Connection, answer: Answer, task: str, series_uid: str) -> bool:
    """Give the workitem of a superseded answer this one, where nobody has begun on it; False when there is none."""
    row = connection.execute(
        """UPDATE workitem w SET analysis_id = %s, series_uid = %s, ai_digest = NULL, changed_at = clock_timestamp()
           WHERE w.id = (
               SELECT w.id FROM workitem w JOIN analysis a ON a.id = w.analysis_id
               WHERE w.study_uid = %s AND w.task = %s AND w.purpose = 'work' AND w.state = 'to_annotate'
                 AND a.model = %s AND a.state = 'superseded'
                 AND NOT EXISTS (SELECT FROM annotation n WHERE n.workitem_id = w.id)
                 AND NOT EXISTS (SELECT FROM workitem o WHERE o.analysis_id = %s AND o.task = %s)
               ORDER BY w.id DESC LIMIT 1 FOR UPDATE OF w)
           RETURNING id""",
        [answer.analysis_id, series_uid, answer.study_uid, task, answer.model, answer.analysis_id, task],
    ).fetchone()
    if row is None:
        return False
    record_event(connection, "workitem", row["id"], "given the newer answer", study_uid=answer.study_uid)
    return True


def record_failure(connection: Connection, analysis_id: int, reason: str) -> None:
    record_event(connection, "analysis", analysis_id, "not looked at for review", reason=reason)


def find_study(connection: Connection, key: str) -> str | None:
    """Study Instance UID of the study that addresses call `key`, or None."""
    row = connection.execute("SELECT study_uid FROM study WHERE md5(study_uid) = %s", [key]).fetchone()
    return row["study_uid"] if row else None


def find_grid(
    connection: Connection, study_uid: str, model: str | None, role: str, series_key: str | None
) -> tuple[int | None, str | None]:
    """The model's current answer on a study and the series that masks of it lie on, each None where there is none.

    Args:
        series_key: a series somebody named; then the answer is only taken when it lies on that one.
    """
    analysis = connection.execute(
        """SELECT id, inputs ->> %s AS series_uid FROM analysis
           WHERE study_uid = %s AND model = %s AND state = 'analysed' ORDER BY id DESC LIMIT 1""",
        [role, study_uid, model],
    ).fetchone()
    series = connection.execute(
        """SELECT series_uid FROM series
           WHERE study_uid = %s AND CASE WHEN %s::text IS NULL THEN role = %s ELSE md5(series_uid) = %s END
           ORDER BY instances DESC LIMIT 1""",
        [study_uid, series_key, role, series_key],
    ).fetchone()
    named = series["series_uid"] if series else None
    if (
        analysis is not None
        and analysis["series_uid"] is not None
        and (series_key is None or analysis["series_uid"] == named)
    ):
        return analysis["id"], analysis["series_uid"]
    return None, named
