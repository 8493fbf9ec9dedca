"""What the worklist shows: a snapshot of studies, current analyses, undelivered results and what readers said."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from services.ledger.database import Connection
from services.ledger.opinions import Opinion, read_opinions

CHANNEL = "nightjar_worklist"
HEARTBEAT_FRESH = timedelta(seconds=15)

PART_CHARACTERS = 4
"""Of a patient ID or accession number, to look for it in the middle of one."""


@dataclass(frozen=True)
class FindingFacts:
    """One finding above its operating point; urgency 1 immediate to 3 standard."""

    label: str
    volume_ml: float
    urgency: int
    key_slice: int
    volume_range_ml: tuple[float, float] | None = None
    abc2_ml: float | None = None


@dataclass(frozen=True)
class AnalysisFacts:
    """A current analysis (none that was superseded); findings most urgent first, then largest.

    Attributes:
        measurements: of the study, by the names of the model's measures, in their units.
        opinions: of readers, those that stand, oldest first.
        has_image: its answer is an image, and it looked for nothing.
        image_sent: a destination has the whole derived series.
    """

    id: int
    model: str
    model_version: str
    state: str
    reason: str | None
    has_preview: bool
    queued_at: datetime
    analysed_at: datetime | None
    findings: tuple[FindingFacts, ...]
    measurements: dict[str, float] = field(default_factory=dict)
    opinions: tuple[Opinion, ...] = ()
    has_image: bool = False
    image_sent: bool = False


@dataclass(frozen=True)
class ParkedDelivery:
    """A result or notification that a destination did not take, retries used up."""

    destination: str
    kind: str
    reason: str | None


@dataclass(frozen=True)
class StudyFacts:
    """A study as the ledger knows it; DICOM's own strings, unescaped.

    Attributes:
        key: what pages and addresses call the study; says nothing about the patient.
        urgency: 1 immediate, 2 urgent, 3 standard; only ever raised by a model.
        arrived_at: commit of its first instance.
    """

    study_uid: str
    key: str
    patient_id: str | None
    patient_name: str | None
    patient_birth_date: str | None
    patient_sex: str | None
    accession_number: str | None
    description: str | None
    study_date: str | None
    study_time: str | None
    modalities: tuple[str, ...]
    instances: int
    state: str
    reason: str | None
    urgency: int
    arrived_at: datetime
    last_instance_at: datetime
    claimed_by: str | None
    claimed_at: datetime | None
    handed_over_by: str | None
    analyses: tuple[AnalysisFacts, ...]
    parked: tuple[ParkedDelivery, ...]


@dataclass(frozen=True)
class SeriesFacts:
    """A series and why it was or was not chosen."""

    series_uid: str
    series_number: int | None
    modality: str | None
    description: str | None
    instances: int
    state: str
    reason: str | None
    role: str | None
    role_reason: str | None


@dataclass(frozen=True)
class DeliveryFacts:
    """One result, or one notification, to one destination; `kind` of the result, or webhook, email or hl7."""

    id: int
    destination: str
    kind: str
    state: str
    attempts: int
    reason: str | None
    delivered_at: datetime | None


@dataclass(frozen=True)
class EventFacts:
    """One line of a study's history."""

    at: datetime
    entity: str
    entity_id: str
    kind: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class StudyRecord:
    """Everything the study page shows."""

    study: StudyFacts
    series: tuple[SeriesFacts, ...]
    deliveries: tuple[DeliveryFacts, ...]
    notifications: tuple[DeliveryFacts, ...]
    events: tuple[EventFacts, ...]


@dataclass(frozen=True)
class PictureFacts:
    """The slice an answer's picture shows: of the middle where nothing was found, then `key_slice` is None."""

    model: str
    inputs: dict[str, str]
    study_key: str
    key_slice: int | None


_KEY = sql.SQL("md5(s.study_uid)")

_STUDIES = sql.SQL("""
    SELECT s.*, {key} AS key,
           coalesce((SELECT array_agg(DISTINCT e.modality ORDER BY e.modality) FROM series e
                     WHERE e.study_uid = s.study_uid AND e.modality IS NOT NULL), '{{}}') AS modalities,
           coalesce((SELECT sum(e.instances) FROM series e WHERE e.study_uid = s.study_uid), 0)::integer AS instances
    FROM study s WHERE {condition}
""")


def list_studies(connection: Connection, since: datetime) -> list[StudyFacts]:
    """Studies that arrived after `since`, in no particular order, from one snapshot.

    Must be the first query of its transaction: the three parts of the answer have to agree, or a flag could
    show for a moment as no flag.
    """
    _take_snapshot(connection)
    return _studies(connection, sql.SQL("s.first_instance_at > %s"), since)


def search_studies(connection: Connection, text: str, limit: int) -> list[StudyFacts]:
    """Studies of any time with this patient ID or accession number, or part of one, the newest first.

    Must be the first query of its transaction. Whole numbers go before parts where there are more than `limit`; fewer
    than `PART_CHARACTERS` are no part, for they would find everybody.
    """
    _take_snapshot(connection)
    literal = re.sub(r"([\\%_])", r"\\\1", text)
    rows = connection.execute(
        """SELECT study_uid FROM study
           WHERE patient_id = ANY(%(words)s) OR accession_number = ANY(%(words)s)
              OR (%(part)s AND (patient_id ILIKE %(pattern)s OR accession_number ILIKE %(pattern)s))
           ORDER BY patient_id = ANY(%(words)s) OR accession_number = ANY(%(words)s) DESC, first_instance_at DESC
           LIMIT %(limit)s""",
        {
            "words": [text, text.upper(), text.lower()],
            "part": len(text) >= PART_CHARACTERS,
            "pattern": f"%{literal}%",
            "limit": limit,
        },
    ).fetchall()
    found = _studies(connection, sql.SQL("s.study_uid = ANY(%s)"), [row["study_uid"] for row in rows])
    return sorted(found, key=lambda study: study.arrived_at, reverse=True)


def read_study(connection: Connection, key: str) -> StudyRecord | None:
    """One study by its key, from one snapshot; must be the first query of its transaction."""
    _take_snapshot(connection)
    studies = _studies(connection, sql.SQL("{} = %s").format(_KEY), key)
    if not studies:
        return None
    study = studies[0]
    series = connection.execute(
        """SELECT series_uid, series_number, modality, description, instances, state, reason, role, role_reason
           FROM series WHERE study_uid = %s ORDER BY series_number NULLS LAST, series_uid""",
        [study.study_uid],
    ).fetchall()
    deliveries = connection.execute(
        """SELECT d.id, d.destination, r.kind, d.state, d.attempts, d.reason, d.delivered_at
           FROM delivery d JOIN result r ON r.id = d.result_id
           WHERE r.study_uid = %s AND d.state != 'cancelled' ORDER BY d.id""",
        [study.study_uid],
    ).fetchall()
    notifications = connection.execute(
        """SELECT id, destination, kind, state, attempts, reason, delivered_at FROM notification
           WHERE study_uid = %s AND state != 'cancelled' ORDER BY id""",
        [study.study_uid],
    ).fetchall()
    events = connection.execute(
        "SELECT at, entity, entity_id, kind, detail FROM event WHERE study_uid = %s ORDER BY id", [study.study_uid]
    ).fetchall()
    return StudyRecord(
        study=study,
        series=tuple(SeriesFacts(**row) for row in series),
        deliveries=tuple(DeliveryFacts(**row) for row in deliveries),
        notifications=tuple(DeliveryFacts(**row) for row in notifications),
        events=tuple(EventFacts(**row) for row in events),
    )


def inference_alive(connection: Connection) -> bool:
    """Whether an inference part said within the last seconds that it lives and its models answer."""
    row = connection.execute(
        """SELECT 1 FROM heartbeat WHERE part = 'inference' AND at > clock_timestamp() - %s
           AND detail -> 'healthy' IS DISTINCT FROM 'false'::jsonb LIMIT 1""",
        [HEARTBEAT_FRESH],
    ).fetchone()
    return row is not None


def find_preview(connection: Connection, analysis_id: int) -> tuple[str, str] | None:
    """Storage key of an analysis's picture and the study it shows, or None."""
    row = connection.execute(
        "SELECT preview_key, study_uid FROM analysis WHERE id = %s AND preview_key IS NOT NULL", [analysis_id]
    ).fetchone()
    return (row["preview_key"], row["study_uid"]) if row else None


def find_picture(connection: Connection, analysis_id: int) -> PictureFacts | None:
    """What an analysis's picture shows, to draw it anew; None when there is no such answer."""
    row = connection.execute(
        """SELECT a.model, a.inputs, md5(a.study_uid) AS study_key,
                  (SELECT f.key_slice FROM finding f WHERE f.analysis_id = a.id ORDER BY f.id LIMIT 1) AS key_slice
           FROM analysis a WHERE a.id = %s AND a.state = 'analysed'""",
        [analysis_id],
    ).fetchone()
    return None if row is None else PictureFacts(**row)


def find_study_uid(connection: Connection, key: str) -> str | None:
    """Study Instance UID of the study pages call `key`, or None."""
    row = connection.execute(sql.SQL("SELECT s.study_uid FROM study s WHERE {} = %s").format(_KEY), [key]).fetchone()
    return row["study_uid"] if row else None


def _take_snapshot(connection: Connection) -> None:
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _studies(connection: Connection, condition: sql.Composable, parameter: Any) -> list[StudyFacts]:
    rows = connection.execute(_STUDIES.format(key=_KEY, condition=condition), [parameter]).fetchall()
    uids = [row["study_uid"] for row in rows]
    analyses, parked = _analyses(connection, uids), _parked(connection, uids)
    return [
        StudyFacts(
            study_uid=row["study_uid"],
            key=row["key"],
            patient_id=row["patient_id"],
            patient_name=row["patient_name"],
            patient_birth_date=row["patient_birth_date"],
            patient_sex=row["patient_sex"],
            accession_number=row["accession_number"],
            description=row["description"],
            study_date=row["study_date"],
            study_time=row["study_time"],
            modalities=tuple(row["modalities"]),
            instances=row["instances"],
            state=row["state"],
            reason=row["reason"],
            urgency=row["urgency"],
            arrived_at=row["first_instance_at"],
            last_instance_at=row["last_instance_at"],
            claimed_by=row["claimed_by"],
            claimed_at=row["claimed_at"],
            handed_over_by=row["handed_over_by"],
            analyses=tuple(analyses[row["study_uid"]]),
            parked=tuple(parked[row["study_uid"]]),
        )
        for row in rows
    ]


def _analyses(connection: Connection, study_uids: Sequence[str]) -> dict[str, list[AnalysisFacts]]:
    findings: dict[int, list[FindingFacts]] = defaultdict(list)
    for row in connection.execute(
        """SELECT f.analysis_id, f.label, f.volume_ml, f.urgency, f.key_slice, f.volume_low_ml, f.volume_high_ml,
                  f.abc2_ml
           FROM finding f JOIN analysis a ON a.id = f.analysis_id
           WHERE a.study_uid = ANY(%s) AND a.state != 'superseded' ORDER BY f.urgency, f.volume_ml DESC, f.label""",
        [list(study_uids)],
    ):
        findings[row["analysis_id"]].append(
            FindingFacts(
                row["label"],
                row["volume_ml"],
                row["urgency"],
                row["key_slice"],
                None if row["volume_low_ml"] is None else (row["volume_low_ml"], row["volume_high_ml"]),
                row["abc2_ml"],
            )
        )
    opinions = read_opinions(connection, study_uids)
    analyses: dict[str, list[AnalysisFacts]] = defaultdict(list)
    for row in connection.execute(
        """SELECT id, study_uid, model, model_version, state, reason, preview_key, queued_at, analysed_at,
                  measurements, image_key,
                  EXISTS (SELECT FROM result r JOIN delivery d ON d.result_id = r.id
                          WHERE r.analysis_id = analysis.id AND r.kind = 'mr' AND d.state = 'delivered') AS image_sent
           FROM analysis WHERE study_uid = ANY(%s) AND state != 'superseded' ORDER BY id""",
        [list(study_uids)],
    ):
        analyses[row["study_uid"]].append(
            AnalysisFacts(
                id=row["id"],
                model=row["model"],
                model_version=row["model_version"],
                state=row["state"],
                reason=row["reason"],
                has_preview=row["preview_key"] is not None,
                queued_at=row["queued_at"],
                analysed_at=row["analysed_at"],
                findings=tuple(findings[row["id"]]),
                measurements=row["measurements"],
                opinions=opinions.get(row["id"], ()),
                has_image=row["image_key"] is not None,
                image_sent=row["image_sent"],
            )
        )
    return analyses


def _parked(connection: Connection, study_uids: Sequence[str]) -> dict[str, list[ParkedDelivery]]:
    parked: dict[str, list[ParkedDelivery]] = defaultdict(list)
    for row in connection.execute(
        """SELECT r.study_uid, d.destination, r.kind, d.reason
           FROM delivery d JOIN result r ON r.id = d.result_id LEFT JOIN analysis a ON a.id = r.analysis_id
           WHERE r.study_uid = ANY(%(studies)s) AND d.state = 'parked' AND a.state IS DISTINCT FROM 'superseded'
           UNION ALL
           SELECT n.study_uid, n.destination, n.kind, n.reason
           FROM notification n JOIN analysis a ON a.id = n.analysis_id
           WHERE n.study_uid = ANY(%(studies)s) AND n.state = 'parked' AND a.state != 'superseded'
           ORDER BY destination, kind""",
        {"studies": list(study_uids)},
    ):
        parked[row["study_uid"]].append(ParkedDelivery(row["destination"], row["kind"], row["reason"]))
    return parked
