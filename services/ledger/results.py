"""Rows of the encode stage: an answer as it was committed, and the objects written from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from models.prediction import Finding, ModelIdentity, Urgency
from services.ledger.database import Connection
from services.ledger.jobs import defer, record_event


@dataclass(frozen=True)
class CommittedAnswer:
    """An analysed analysis that has no objects yet; findings most urgent first."""

    analysis_id: int
    study_uid: str
    model: ModelIdentity
    inputs: dict[str, str]
    input_digest: str
    findings: tuple[Finding, ...]
    urgency: Urgency
    measurements: dict[str, float]
    parameters: dict[str, float | str]
    segmentation_key: str
    image_key: str | None
    analysed_at: datetime


@dataclass(frozen=True)
class DeliveredReport:
    """The report of an earlier analysis that some destination has."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class NewResult:
    """A Part 10 object in the store.

    Attributes:
        kind: seg, sr, sc, mr, correction or correction_sr; those of mr are one series and go out together.
        attributes: counts by DICOM keyword, as of an instance.
    """

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    digest: str
    size_bytes: int
    transfer_syntax_uid: str
    modality: str
    series_number: int
    series_description: str
    attributes: Mapping[str, int]


def load(connection: Connection, analysis_id: int) -> CommittedAnswer | None:
    """The answer to encode; None when it was superseded, failed or encoded already."""
    row = connection.execute(
        "SELECT * FROM analysis WHERE id = %s AND state = 'analysed' AND encoded_at IS NULL", [analysis_id]
    ).fetchone()
    if row is None:
        return None
    findings = connection.execute(
        "SELECT * FROM finding WHERE analysis_id = %s ORDER BY urgency, id", [analysis_id]
    ).fetchall()
    return CommittedAnswer(
        analysis_id=row["id"],
        study_uid=row["study_uid"],
        model=ModelIdentity(row["model"], row["model_version"], row["weights_digest"]),
        inputs=row["inputs"],
        input_digest=row["input_digest"],
        findings=tuple(
            Finding(
                label=finding["label"],
                probability=finding["probability"],
                volume_ml=finding["volume_ml"],
                urgency=Urgency(finding["urgency"]),
                key_slice=finding["key_slice"],
                volume_range_ml=None
                if finding["volume_low_ml"] is None
                else (finding["volume_low_ml"], finding["volume_high_ml"]),
                abc2_ml=finding["abc2_ml"],
            )
            for finding in findings
        ),
        urgency=Urgency(row["urgency"]),
        measurements=row["measurements"],
        parameters=row["parameters"],
        segmentation_key=row["segmentation_key"],
        image_key=row["image_key"],
        analysed_at=row["analysed_at"],
    )


def predecessor(connection: Connection, answer: CommittedAnswer) -> DeliveredReport | None:
    """The latest report of an earlier analysis of the study by this model that a destination has."""
    row = connection.execute(
        """SELECT a.study_uid, r.series_uid, r.sop_class_uid, r.sop_instance_uid
           FROM result r JOIN analysis a ON a.id = r.analysis_id
           WHERE a.study_uid = %s AND a.model = %s AND a.id < %s AND r.kind = 'sr'
             AND EXISTS (SELECT FROM delivery d WHERE d.result_id = r.id AND d.state = 'delivered')
           ORDER BY a.id DESC LIMIT 1""",
        [answer.study_uid, answer.model.name, answer.analysis_id],
    ).fetchone()
    return None if row is None else DeliveredReport(**row)


def save(
    connection: Connection,
    answer: CommittedAnswer,
    results: Sequence[NewResult],
    destinations: Mapping[str, Sequence[str]],
) -> bool:
    """Commit the objects, replace those of earlier analyses, and queue a delivery for whoever wants one.

    Args:
        destinations: names by kind of result.

    Returns:
        False when the analysis was superseded or encoded meanwhile; then nothing was written.
    """
    row = connection.execute(
        "SELECT state, encoded_at FROM analysis WHERE id = %s FOR UPDATE", [answer.analysis_id]
    ).fetchone()
    if row is None or row["state"] != "analysed" or row["encoded_at"] is not None:
        return False
    _supersede_earlier(connection, answer)
    begun: set[str] = set()
    for result in results:
        identifier = insert(connection, result, answer.study_uid, analysis_id=answer.analysis_id)
        if result.kind == "mr" and result.series_uid in begun:
            continue
        begun.add(result.series_uid)
        send(connection, identifier, destinations.get(result.kind, ()), answer.urgency)
    connection.execute("UPDATE analysis SET encoded_at = clock_timestamp() WHERE id = %s", [answer.analysis_id])
    record_event(
        connection,
        "analysis",
        answer.analysis_id,
        "encoded",
        study_uid=answer.study_uid,
        results={result.sop_instance_uid: result.kind for result in results},
    )
    return True


def insert(
    connection: Connection,
    result: NewResult,
    study_uid: str,
    *,
    analysis_id: int | None = None,
    workitem_id: int | None = None,
) -> int:
    """Write the row of an object, made of an analysis, of a workitem's accepted label, or of both; its id."""
    created = connection.execute(
        """INSERT INTO result (study_uid, analysis_id, workitem_id, kind, sop_class_uid, sop_instance_uid, series_uid,
               digest, size_bytes, transfer_syntax_uid, modality, series_number, series_description, attributes)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id""",
        [
            study_uid,
            analysis_id,
            workitem_id,
            result.kind,
            result.sop_class_uid,
            result.sop_instance_uid,
            result.series_uid,
            result.digest,
            result.size_bytes,
            result.transfer_syntax_uid,
            result.modality,
            result.series_number,
            result.series_description,
            Jsonb(dict(result.attributes)),
        ],
    ).fetchone()
    assert created is not None
    return int(created["id"])


def send(connection: Connection, result_id: int, destinations: Sequence[str], urgency: int) -> None:
    """Queue the deliveries of an object, the more urgent sooner."""
    for destination in destinations:
        delivery = connection.execute(
            "INSERT INTO delivery (result_id, destination) VALUES (%s, %s) RETURNING id", [result_id, destination]
        ).fetchone()
        assert delivery is not None
        defer(connection, "deliver", delivery["id"], priority=10 - int(urgency))


def _supersede_earlier(connection: Connection, answer: CommittedAnswer) -> None:
    """Mark the objects of the study's earlier analyses by this model; what of them is still on its way is not sent.

    A model that makes images completes several series of a study, each for itself: only what routing gave up counts.
    """
    replaced = connection.execute(
        """UPDATE result r SET superseded_at = clock_timestamp() FROM analysis a
           WHERE a.id = r.analysis_id AND a.study_uid = %s AND a.model = %s AND a.id < %s AND r.superseded_at IS NULL
             AND (a.state = 'superseded' OR NOT %s)
           RETURNING r.id""",
        [answer.study_uid, answer.model.name, answer.analysis_id, answer.image_key is not None],
    ).fetchall()
    connection.execute(
        """UPDATE delivery SET state = 'cancelled', reason = 'A newer analysis replaced this result.'
           WHERE result_id = ANY(%s) AND state IN ('pending', 'parked')""",
        [[row["id"] for row in replaced]],
    )
