"""Rows of the notify stage: who is to be told of an answer, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.ledger.database import Connection
from services.ledger.jobs import defer, record_event


@dataclass(frozen=True)
class NotificationFacts:
    """A pending notification and the answer it tells of.

    Attributes:
        answer: names the answer for good: input digest, model and version.
        findings: (label, volume in mL, urgency), the most urgent first.
        study_key: what pages call the study.
    """

    destination: str
    answer: str
    model: str
    model_version: str
    urgency: int
    findings: tuple[tuple[str, float, int], ...]
    analysed_at: datetime
    study_key: str
    study_uid: str
    patient_id: str | None
    patient_name: str | None
    accession_number: str | None


def plan(connection: Connection, analysis_id: int, study_uid: str, kinds: Mapping[str, str], urgency: int) -> None:
    """Queue a notification of an answer for each receiver that has none of it yet, in the answer's own transaction.

    Args:
        kinds: webhook, email or hl7 by the receiver's name.
        urgency: of the answer; the most urgent go first, and before deliveries.
    """
    for destination, kind in kinds.items():
        row = connection.execute(
            """INSERT INTO notification (study_uid, analysis_id, destination, kind) VALUES (%s, %s, %s, %s)
               ON CONFLICT DO NOTHING RETURNING id""",
            [study_uid, analysis_id, destination, kind],
        ).fetchone()
        if row is not None:
            defer(connection, "notify", row["id"], priority=20 - urgency)


def take(connection: Connection, notification_id: int) -> NotificationFacts | None:
    """Count a try of a pending notification; None when there is nothing to send.

    One whose analysis was superseded is cancelled here: the newer answer speaks for itself.
    """
    row = connection.execute(
        """SELECT n.destination, n.state, a.state AS analysis_state, a.model, a.model_version, a.urgency, a.analysed_at,
                  a.input_digest, md5(s.study_uid) AS study_key, s.study_uid, s.patient_id, s.patient_name,
                  s.accession_number
           FROM notification n JOIN analysis a ON a.id = n.analysis_id JOIN study s ON s.study_uid = n.study_uid
           WHERE n.id = %s FOR UPDATE OF n""",
        [notification_id],
    ).fetchone()
    if row is None or row["state"] != "pending":
        return None
    if row["analysis_state"] == "superseded":
        connection.execute(
            """UPDATE notification SET state = 'cancelled', reason = 'A newer analysis replaced this answer.'
               WHERE id = %s""",
            [notification_id],
        )
        return None
    connection.execute("UPDATE notification SET attempts = attempts + 1 WHERE id = %s", [notification_id])
    findings = connection.execute(
        """SELECT f.label, f.volume_ml, f.urgency FROM finding f JOIN notification n ON n.analysis_id = f.analysis_id
           WHERE n.id = %s ORDER BY f.urgency, f.volume_ml DESC, f.label""",
        [notification_id],
    ).fetchall()
    return NotificationFacts(
        destination=row["destination"],
        answer=f"{row['input_digest']} {row['model']} {row['model_version']}",
        model=row["model"],
        model_version=row["model_version"],
        urgency=row["urgency"],
        findings=tuple((each["label"], each["volume_ml"], each["urgency"]) for each in findings),
        analysed_at=row["analysed_at"],
        study_key=row["study_key"],
        study_uid=row["study_uid"],
        patient_id=row["patient_id"],
        patient_name=row["patient_name"],
        accession_number=row["accession_number"],
    )


def delivered(connection: Connection, notification_id: int, note: str) -> None:
    """The receiver took it; `note` says what it remarked, if anything."""
    connection.execute(
        """UPDATE notification SET state = 'delivered', reason = %s, delivered_at = clock_timestamp()
           WHERE id = %s AND state = 'pending'""",
        [note or None, notification_id],
    )


def refused(connection: Connection, notification_id: int, reason: str) -> None:
    """Keep why a try failed; the notification stays pending."""
    row = connection.execute(
        "UPDATE notification SET reason = %s WHERE id = %s AND state = 'pending' RETURNING attempts",
        [reason, notification_id],
    ).fetchone()
    if row is not None:
        record_event(connection, "notification", notification_id, "retry", attempts=row["attempts"], reason=reason)


def park(connection: Connection, notification_id: int, reason: str) -> None:
    """End a notification that did not succeed, visibly; it can be retried by hand."""
    connection.execute(
        "UPDATE notification SET state = 'parked', reason = %s WHERE id = %s AND state = 'pending'",
        [reason, notification_id],
    )
