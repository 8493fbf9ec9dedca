"""SQL of assembly and routing."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from services.ledger.database import Connection
from services.ledger.jobs import defer, record_event
from services.ledger.served_models import ServedModel


@dataclass(frozen=True)
class SeriesRow:
    """A series as rules see it. `description` and `study_description` are the hospital's words: never logged.

    Attributes:
        slices: its instances, a multi-frame one as often as it has frames.
    """

    series_uid: str
    state: str
    reason: str | None
    modality: str | None
    description: str | None
    body_part: str | None
    study_description: str | None
    sending_ae: str | None
    instances: int
    slices: int
    b_value_max: float | None
    attributes: Mapping[str, Any] = field(default_factory=dict)


# Assembly


def lock_open_series(connection: Connection, series_uid: str) -> str | None:
    """Take a series that is receiving, and its study, for this transaction; its Study Instance UID, or None."""
    row = connection.execute("SELECT study_uid FROM series WHERE series_uid = %s", [series_uid]).fetchone()
    if row is None:
        return None
    connection.execute("SELECT 1 FROM study WHERE study_uid = %s FOR UPDATE", [row["study_uid"]])
    series = connection.execute("SELECT state FROM series WHERE series_uid = %s", [series_uid]).fetchone()
    return str(row["study_uid"]) if series is not None and series["state"] == "receiving" else None


def arrived(connection: Connection, series_uid: str) -> list[dict[str, Any]]:
    """Usable instances of a series: sop_class_uid, association_id, received_at, attributes."""
    return connection.execute(
        """
        SELECT sop_class_uid, association_id, received_at, attributes FROM instance
        WHERE series_uid = %s AND NOT conflict
        """,
        [series_uid],
    ).fetchall()


def senders(connection: Connection, series_uid: str) -> list[dict[str, Any]]:
    """The associations that carried instances of a series: id, closed_at."""
    return connection.execute(
        """
        SELECT id, closed_at FROM association
        WHERE id IN (SELECT association_id FROM instance WHERE series_uid = %s AND NOT conflict)
        """,
        [series_uid],
    ).fetchall()


def close_series(connection: Connection, series_uid: str, study_uid: str, state: str, reason: str) -> None:
    """Give an open series its end, complete or incomplete, and ask for its study to be routed."""
    connection.execute(
        "UPDATE series SET state = %s, reason = %s WHERE series_uid = %s AND state = 'receiving'",
        [state, reason, series_uid],
    )
    defer(connection, "route", study_uid)


def note_waiting(connection: Connection, series_uid: str, reason: str) -> None:
    """Say what an open series waits for until the fallback timer; the next instance wipes it out."""
    connection.execute(
        "UPDATE series SET reason = %s WHERE series_uid = %s AND state = 'receiving'", [reason, series_uid]
    )


def due_series(connection: Connection, idle_before: datetime, fallback_before: datetime) -> list[str]:
    """Open series nobody has looked at since they fell silent, and those whose fallback timer ran out."""
    rows = connection.execute(
        """
        SELECT series_uid FROM series
        WHERE state = 'receiving' AND last_instance_at <= %s AND (reason IS NULL OR last_instance_at <= %s)
        ORDER BY series_uid
        """,
        [idle_before, fallback_before],
    ).fetchall()
    return [row["series_uid"] for row in rows]


# Routing


def lock_study(connection: Connection, study_uid: str) -> str | None:
    """Take a study for this transaction; its state, or None when there is no such study."""
    row = connection.execute("SELECT state FROM study WHERE study_uid = %s FOR UPDATE", [study_uid]).fetchone()
    return None if row is None else str(row["state"])


def series_of(connection: Connection, study_uid: str) -> list[SeriesRow]:
    rows = connection.execute(
        """
        SELECT s.*, t.description AS study_description, arrived.b_value_max, arrived.slices,
               (SELECT a.calling_ae FROM instance i JOIN association a ON a.id = i.association_id
                WHERE i.series_uid = s.series_uid ORDER BY i.id LIMIT 1) AS sending_ae
        FROM series s JOIN study t USING (study_uid) CROSS JOIN LATERAL (
            SELECT max(CASE jsonb_typeof(i.attributes -> 'DiffusionBValue') WHEN 'number'
                       THEN (i.attributes ->> 'DiffusionBValue')::float8 END) AS b_value_max,
                   coalesce(sum(CASE jsonb_typeof(i.attributes -> 'NumberOfFrames') WHEN 'number'
                                THEN greatest((i.attributes ->> 'NumberOfFrames')::float8, 1) ELSE 1 END), 0) AS slices
            FROM instance i WHERE i.series_uid = s.series_uid AND NOT i.conflict
        ) arrived
        WHERE s.study_uid = %s ORDER BY s.series_number NULLS LAST, s.series_uid
        """,
        [study_uid],
    ).fetchall()
    return [
        SeriesRow(
            series_uid=row["series_uid"],
            state=row["state"],
            reason=row["reason"],
            modality=row["modality"],
            description=row["description"],
            body_part=row["body_part"],
            study_description=row["study_description"],
            sending_ae=row["sending_ae"],
            instances=row["instances"],
            slices=int(row["slices"]),
            b_value_max=row["b_value_max"],
            attributes=row["attributes"],
        )
        for row in rows
    ]


def write_role(connection: Connection, series_uid: str, role: str | None, reason: str, score: int | None) -> None:
    connection.execute(
        """
        UPDATE series SET role = %(role)s, role_reason = %(reason)s, role_score = %(score)s
        WHERE series_uid = %(series)s
          AND (role, role_reason, role_score) IS DISTINCT FROM (%(role)s, %(reason)s, %(score)s)
        """,
        {"role": role, "reason": reason, "score": score, "series": series_uid},
    )


def input_digest(connection: Connection, series_uids: Sequence[str]) -> str:
    """SHA-256 over the sorted digests of all usable instances of some series."""
    rows = connection.execute(
        "SELECT digest FROM instance WHERE series_uid = ANY(%s) AND NOT conflict ORDER BY digest", [list(series_uids)]
    ).fetchall()
    return combine_digests([row["digest"] for row in rows])


def combine_digests(sorted_digests: Sequence[str]) -> str:
    """What names an input: SHA-256 over the digests of its instances, in order."""
    return hashlib.sha256("".join(sorted_digests).encode("ascii")).hexdigest()


def ensure_analysis(
    connection: Connection,
    study_uid: str,
    model: ServedModel,
    inputs: Mapping[str, str],
    reason: str,
    *,
    beside: Sequence[Mapping[str, str]] = (),
) -> tuple[str, str | None]:
    """The analysis of these inputs by this model: the one there is, or a new one with its job.

    Analyses of the same model on other inputs are superseded, their results marked and their deliveries cancelled.

    Args:
        beside: further inputs of the study that the model analyses as well, each for itself.

    Returns:
        Its state, and its reason.
    """
    digest = input_digest(connection, list(inputs.values()))
    key = [model.name, model.version, model.weights_digest, digest]
    row = connection.execute(
        """
        SELECT id, state, reason FROM analysis
        WHERE model = %s AND model_version = %s AND weights_digest = %s AND input_digest = %s FOR UPDATE
        """,
        key,
    ).fetchone()
    if row is not None and row["state"] != "superseded":
        _supersede_others(connection, study_uid, model.name, row["id"], beside)
        return row["state"], row["reason"]
    if row is not None:
        # A better series came, and went back to receiving: this input is the best again.
        analysis_id = row["id"]
        connection.execute("UPDATE analysis SET state = 'queued', reason = NULL WHERE id = %s", [analysis_id])
        connection.execute("UPDATE result SET superseded_at = NULL WHERE analysis_id = %s", [analysis_id])
        revived = connection.execute(
            """
            UPDATE delivery SET state = 'pending', reason = NULL
            WHERE state = 'cancelled' AND result_id IN (SELECT id FROM result WHERE analysis_id = %s) RETURNING id
            """,
            [analysis_id],
        ).fetchall()
        for delivery in revived:
            defer(connection, "deliver", delivery["id"])
    else:
        created = connection.execute(
            """
            INSERT INTO analysis (study_uid, model, model_version, weights_digest, inputs, input_digest)
            VALUES (%s, %s, %s, %s, %s, %s) RETURNING id
            """,
            [study_uid, *key[:3], Jsonb(dict(inputs)), digest],
        ).fetchone()
        assert created is not None
        analysis_id = created["id"]
    _supersede_others(connection, study_uid, model.name, analysis_id, beside)
    # The answer on the worklist is one about the present instances, or there is none yet.
    connection.execute("UPDATE study SET flagged_at = NULL, analysed_at = NULL WHERE study_uid = %s", [study_uid])
    record_event(
        connection, "analysis", analysis_id, "routed",
        study_uid=study_uid, model=model.name, inputs=dict(inputs), reason=reason,
    )  # fmt: skip
    defer(connection, "infer", analysis_id, priority=model.priority)
    return "queued", None


def move_study(connection: Connection, study_uid: str, path: Sequence[str], reason: str | None) -> None:
    """Move a study along some states, the reason going with the last."""
    for state in path:
        connection.execute(
            "UPDATE study SET state = %s, reason = %s WHERE study_uid = %s",
            [state, reason if state == path[-1] else None, study_uid],
        )


def note_reason(connection: Connection, study_uid: str, reason: str | None) -> None:
    connection.execute("UPDATE study SET reason = %s WHERE study_uid = %s", [reason, study_uid])


def _supersede_others(
    connection: Connection, study_uid: str, model: str, analysis_id: int, beside: Sequence[Mapping[str, str]]
) -> None:
    others = connection.execute(
        """
        UPDATE analysis SET state = 'superseded', reason = 'The study has newer input for this model.'
        WHERE study_uid = %s AND model = %s AND id <> %s AND state <> 'superseded' AND inputs <> ALL(%s::jsonb[])
        RETURNING id
        """,
        [study_uid, model, analysis_id, [Jsonb(dict(inputs)) for inputs in beside]],
    ).fetchall()
    for other in others:
        connection.execute(
            "UPDATE result SET superseded_at = clock_timestamp() WHERE analysis_id = %s AND superseded_at IS NULL",
            [other["id"]],
        )
        connection.execute(
            """
            UPDATE delivery SET state = 'cancelled', reason = 'Its analysis was superseded.'
            WHERE state IN ('pending', 'parked') AND result_id IN (SELECT id FROM result WHERE analysis_id = %s)
            """,
            [other["id"]],
        )
        record_event(connection, "analysis", other["id"], "superseded", study_uid=study_uid, by=analysis_id)
