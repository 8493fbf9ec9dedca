"""SQL of telling what happened to a study."""

from typing import Any
from uuid import UUID

from services.ledger.database import Connection

_STUDY_OF_JOB = {
    "assemble": "SELECT study_uid FROM series WHERE series_uid = %s",
    "route": "SELECT %s::text AS study_uid",
    **dict.fromkeys(("infer", "shadow", "encode", "select"), "SELECT study_uid FROM analysis WHERE id = %s"),
    "correct": "SELECT study_uid FROM workitem WHERE id = %s",
    "arrive": "SELECT study_uid FROM instance WHERE id = %s",
    "deliver": "SELECT study_uid FROM result WHERE id = (SELECT result_id FROM delivery WHERE id = %s)",
    "notify": "SELECT study_uid FROM notification WHERE id = %s",
}


def pseudonym_of_job(connection: Connection, task: str, identifier: str | int) -> UUID | None:
    """The pseudonym of the study that a job is about; None where it is about none."""
    if task not in _STUDY_OF_JOB:
        return None
    query = f"SELECT pseudonym FROM study WHERE study_uid = ({_STUDY_OF_JOB[task]})"
    row = connection.execute(query.encode(), [identifier]).fetchone()
    return None if row is None else UUID(str(row["pseudonym"]))


def study_of(connection: Connection, name: str) -> str | None:
    """The Study Instance UID of a study UID, series UID or pseudonym; None when the ledger knows none."""
    row = connection.execute(
        """
        SELECT study_uid FROM study WHERE study_uid = %(name)s
        UNION SELECT study_uid FROM series WHERE series_uid = %(name)s
        UNION SELECT study_uid FROM study WHERE pseudonym = %(pseudonym)s LIMIT 1
        """,
        {"name": name, "pseudonym": _pseudonym(name)},
    ).fetchone()
    return None if row is None else str(row["study_uid"])


def _pseudonym(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None


def study(connection: Connection, study_uid: str) -> dict[str, Any]:
    """State and times, without the patient."""
    row = connection.execute(
        """
        SELECT study_uid, replace(pseudonym::text, '-', '') AS pseudonym, state, reason, urgency, first_instance_at,
               last_instance_at, flagged_at, analysed_at
        FROM study WHERE study_uid = %s
        """,
        [study_uid],
    ).fetchone()
    assert row is not None
    return row


def series(connection: Connection, study_uid: str) -> list[dict[str, Any]]:
    return connection.execute(
        """
        SELECT s.series_uid, s.modality, s.description, s.instances, s.revision, s.state, s.reason, s.role,
               s.role_reason, s.first_instance_at, s.last_instance_at,
               (SELECT count(*) FROM instance i WHERE i.series_uid = s.series_uid AND i.conflict) AS conflicts
        FROM series s WHERE s.study_uid = %s ORDER BY s.series_number NULLS LAST, s.series_uid
        """,
        [study_uid],
    ).fetchall()


def associations(connection: Connection, study_uid: str) -> list[dict[str, Any]]:
    """Who sent it: one row an association, with how many of the study's instances it brought."""
    return connection.execute(
        """
        SELECT a.calling_ae, a.peer, a.opened_at, a.closed_at, a.ending, count(*) AS instances, a.rejected
        FROM instance i JOIN association a ON a.id = i.association_id
        WHERE i.study_uid = %s GROUP BY a.id ORDER BY a.opened_at
        """,
        [study_uid],
    ).fetchall()


def analyses(connection: Connection, study_uid: str) -> list[dict[str, Any]]:
    return connection.execute(
        """
        SELECT a.id, a.model, a.model_version, a.state, a.reason, a.inputs, a.attempts, a.urgency, a.queued_at,
               a.started_at, a.analysed_at, a.encoded_at,
               (SELECT detail ->> 'reason' FROM event e WHERE e.entity = 'analysis' AND e.entity_id = a.id::text
                AND e.kind = 'routed' ORDER BY e.id DESC LIMIT 1) AS choice,
               coalesce((SELECT jsonb_agg(jsonb_build_object('label', f.label, 'probability', f.probability,
                         'volume_ml', f.volume_ml) ORDER BY f.id) FROM finding f WHERE f.analysis_id = a.id), '[]')
                AS findings
        FROM analysis a WHERE a.study_uid = %s ORDER BY a.id
        """,
        [study_uid],
    ).fetchall()


def deliveries(connection: Connection, study_uid: str) -> list[dict[str, Any]]:
    return connection.execute(
        """
        SELECT r.analysis_id, r.kind, d.destination, d.state, d.attempts, d.reason, d.delivered_at
        FROM delivery d JOIN result r ON r.id = d.result_id WHERE r.study_uid = %s ORDER BY d.id
        """,
        [study_uid],
    ).fetchall()


def notifications(connection: Connection, study_uid: str) -> list[dict[str, Any]]:
    return connection.execute(
        """
        SELECT analysis_id, kind, destination, state, attempts, reason, created_at, delivered_at
        FROM notification WHERE study_uid = %s ORDER BY id
        """,
        [study_uid],
    ).fetchall()


def events(connection: Connection, study_uid: str) -> list[dict[str, Any]]:
    return connection.execute(
        "SELECT at, entity, entity_id, kind, detail FROM event WHERE study_uid = %s ORDER BY id", [study_uid]
    ).fetchall()
