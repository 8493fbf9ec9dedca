"""SQL of receiving: associations, instances, quarantine."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from services.errors import Reject
from services.ledger.database import Connection
from services.ledger.jobs import defer, record_event

_STUDY_COLUMNS = (
    "patient_id", "patient_name", "patient_birth_date", "patient_sex", "accession_number", "study_id", "description",
    "study_date", "study_time", "referring_physician",
)  # fmt: skip


# Segmentation Storage and Label Map Segmentation Storage.
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")


@dataclass(frozen=True)
class Sender:
    """Who sends: one DIMSE association, or one upload by REST (`peer` is then "rest").

    Attributes:
        listener: which of several listeners received it.
    """

    association_id: UUID
    calling_ae: str
    called_ae: str
    peer: str
    listener: str | None = None


@dataclass(frozen=True)
class ReceivedInstance:
    """An instance whose bytes are already durable. `study` and `description` hold patient data."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    series_uid: str
    study_uid: str
    digest: str
    size_bytes: int
    study: Mapping[str, str | None]
    modality: str | None
    description: str | None
    body_part: str | None
    series_number: int | None
    series_attributes: Mapping[str, Any]
    instance_attributes: Mapping[str, Any]


class Recorded(StrEnum):
    NEW = "new"
    DUPLICATE = "duplicate"  # same SOP Instance UID, same bytes
    CONFLICT = "conflict"  # same SOP Instance UID, other bytes


def open_association(connection: Connection, sender: Sender, now: datetime) -> None:
    """Write the row of an association; one that is there already is marked active and open again."""
    connection.execute(
        """
        INSERT INTO association (id, calling_ae, called_ae, peer, listener, opened_at, active_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (id) DO UPDATE SET active_at = EXCLUDED.active_at, closed_at = NULL, ending = NULL
        """,
        [sender.association_id, sender.calling_ae, sender.called_ae, sender.peer, sender.listener, now, now],
    )


def close_association(connection: Connection, association_id: UUID, ending: str, now: datetime) -> None:
    """Close the row and ask for every open series it touched to be assembled.

    Args:
        ending: released, aborted or lost.
    """
    connection.execute(
        "UPDATE association SET closed_at = %s, ending = %s WHERE id = %s AND closed_at IS NULL",
        [now, ending, association_id],
    )
    touched = connection.execute(
        """
        SELECT DISTINCT i.series_uid FROM instance i JOIN series s USING (series_uid)
        WHERE i.association_id = %s AND s.state = 'receiving' ORDER BY i.series_uid
        """,
        [association_id],
    ).fetchall()
    for row in touched:
        defer(connection, "assemble", row["series_uid"])


def close_stale_associations(
    connection: Connection, listener: str | None, silent_since: datetime, now: datetime
) -> int:
    """Close as lost what nobody serves any more; an instance would open its row again.

    Args:
        listener: one that starts: what its earlier life left open is nobody's.
        silent_since: any listener would have ended an association that sent nothing since then; its listener is gone.
    """
    rows = connection.execute(
        """SELECT id FROM association WHERE closed_at IS NULL
           AND (active_at < %s OR (peer <> 'rest' AND (listener = %s OR listener IS NULL)))""",
        [silent_since, listener],
    ).fetchall()
    for row in rows:
        close_association(connection, row["id"], "lost", now)
    return len(rows)


def record_instance(connection: Connection, instance: ReceivedInstance, sender: Sender, now: datetime) -> Recorded:
    """Write an instance with its study and series, in the transaction open on `connection`.

    A late instance takes its series, and a study that had an answer or was being analysed, back to receiving.

    Raises:
        Reject: the Series Instance UID already belongs to another study.
    """
    open_association(connection, sender, now)
    _insert_study_and_series(connection, instance, now)
    # Every writer of a study's rows takes the study first, so no two of them wait for each other.
    study = connection.execute(
        "SELECT state FROM study WHERE study_uid = %s FOR UPDATE", [instance.study_uid]
    ).fetchone()
    series = connection.execute("SELECT study_uid FROM series WHERE series_uid = %s", [instance.series_uid]).fetchone()
    if series is not None and series["study_uid"] != instance.study_uid:
        raise Reject("The Series Instance UID already belongs to another study.")
    known = connection.execute(
        "SELECT digest, conflict FROM instance WHERE sop_instance_uid = %s", [instance.sop_instance_uid]
    ).fetchall()
    same = next((row for row in known if row["digest"] == instance.digest), None)
    if same is not None:
        _count(connection, sender, "stored")
        return Recorded.CONFLICT if same["conflict"] else Recorded.DUPLICATE
    conflict = bool(known)
    connection.execute(
        """
        INSERT INTO instance (sop_instance_uid, sop_class_uid, transfer_syntax_uid, series_uid, study_uid, digest,
                              size_bytes, conflict, association_id, attributes, received_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            instance.sop_instance_uid,
            instance.sop_class_uid,
            instance.transfer_syntax_uid,
            instance.series_uid,
            instance.study_uid,
            instance.digest,
            instance.size_bytes,
            conflict,
            sender.association_id,
            Jsonb(dict(instance.instance_attributes)),
            now,
        ],
    )
    _count(connection, sender, "stored")
    if instance.sop_class_uid in _SEGMENTATIONS and not conflict:
        created = connection.execute(
            "SELECT id FROM instance WHERE sop_instance_uid = %s AND NOT conflict", [instance.sop_instance_uid]
        ).fetchone()
        assert created is not None
        defer(connection, "arrive", created["id"])  # it may be somebody's correction of an answer
    if conflict:
        record_event(
            connection, "instance", instance.sop_instance_uid, "conflict",
            study_uid=instance.study_uid, digest=instance.digest, association=str(sender.association_id),
        )  # fmt: skip
        return Recorded.CONFLICT
    connection.execute(
        """
        UPDATE series SET instances = instances + 1, revision = revision + 1, last_instance_at = %s, reason = NULL
        WHERE series_uid = %s
        """,
        [now, instance.series_uid],
    )
    connection.execute(
        "UPDATE series SET state = 'receiving' WHERE series_uid = %s AND state <> 'receiving'", [instance.series_uid]
    )
    connection.execute("UPDATE study SET last_instance_at = %s WHERE study_uid = %s", [now, instance.study_uid])
    if study is not None and study["state"] != "receiving":
        connection.execute(
            "UPDATE study SET state = 'receiving', reason = NULL WHERE study_uid = %s", [instance.study_uid]
        )
    return Recorded.NEW


def record_quarantine(
    connection: Connection,
    sender: Sender,
    *,
    sop_class_uid: str | None,
    sop_instance_uid: str | None,
    digest: str | None,
    reason: str,
    status: int,
    now: datetime,
) -> None:
    """Write what could not be accepted; the UIDs are the sender's claim, unchecked.

    Args:
        digest: storage key of its bytes; None: they never came.
    """
    open_association(connection, sender, now)
    _count(connection, sender, "rejected")
    connection.execute(
        """
        INSERT INTO quarantine (at, association_id, calling_ae, sop_class_uid, sop_instance_uid, digest, reason, status)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [now, sender.association_id, sender.calling_ae, sop_class_uid, sop_instance_uid, digest, reason, status],
    )


def _insert_study_and_series(connection: Connection, instance: ReceivedInstance, now: datetime) -> None:
    columns = ", ".join(_STUDY_COLUMNS)
    places = ", ".join(["%s"] * (len(_STUDY_COLUMNS) + 3))
    connection.execute(
        (
            f"INSERT INTO study (study_uid, {columns}, first_instance_at, last_instance_at) VALUES ({places})"
            " ON CONFLICT (study_uid) DO NOTHING"
        ).encode(),
        [instance.study_uid, *(instance.study.get(column) for column in _STUDY_COLUMNS), now, now],
    )
    connection.execute(
        """
        INSERT INTO series (series_uid, study_uid, modality, description, body_part, series_number, attributes,
                            first_instance_at, last_instance_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (series_uid) DO NOTHING
        """,
        [
            instance.series_uid,
            instance.study_uid,
            instance.modality,
            instance.description,
            instance.body_part,
            instance.series_number,
            Jsonb(dict(instance.series_attributes)),
            now,
            now,
        ],
    )


def _count(connection: Connection, sender: Sender, column: str) -> None:
    connection.execute(
        f"UPDATE association SET {column} = {column} + 1 WHERE id = %s".encode(), [sender.association_id]
    )
