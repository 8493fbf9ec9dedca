"""SQL behind the metrics: how much waits and for how long now, and what has happened since a row.

What waits is found by partial indexes, what happened by ranges of keys, so that a large ledger costs no more than a
small one. No query answers with a patient's data or a UID.
"""

from typing import Any

from services.ledger.database import Connection

UNANSWERED_STATES = ("receiving", "analysing", "failed", "parked")


def studies_unanswered(connection: Connection) -> list[dict[str, Any]]:
    """By state: how many, and seconds since the last instance of the one silent for longest."""
    return connection.execute(
        """SELECT state, count(*) AS n,
                  extract(epoch FROM clock_timestamp() - min(last_instance_at))::float8 AS oldest_s
           FROM study WHERE state != 'analysed' AND state != 'not_applicable' GROUP BY state"""
    ).fetchall()


def analyses_waiting(connection: Connection) -> list[dict[str, Any]]:
    """By served model: weights, priority, how many are queued and running, and how long the oldest has waited, seconds.

    The wait counts from the study's last instance, as its reader would.
    """
    return connection.execute(
        """SELECT m.name AS model, m.version, m.weights_digest, m.priority,
                  count(a.id) FILTER (WHERE a.state = 'queued') AS queued,
                  count(a.id) FILTER (WHERE a.state = 'running') AS running,
                  coalesce(extract(epoch FROM clock_timestamp() - min(s.last_instance_at)), 0)::float8 AS oldest_s
           FROM model m LEFT JOIN analysis a ON a.model = m.name AND a.state IN ('queued', 'running')
           LEFT JOIN study s ON s.study_uid = a.study_uid GROUP BY m.name ORDER BY m.name"""
    ).fetchall()


def jobs(connection: Connection) -> list[dict[str, Any]]:
    """By task: how many jobs wait and run, and seconds since the oldest that waits was deferred."""
    return connection.execute(
        """SELECT j.task_name AS task, count(*) FILTER (WHERE j.status = 'todo') AS todo,
                  count(*) FILTER (WHERE j.status = 'doing') AS doing,
                  coalesce(extract(epoch FROM clock_timestamp() - min(e.at) FILTER (WHERE j.status = 'todo')), 0)
                      ::float8 AS oldest_s
           FROM procrastinate_jobs j LEFT JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'
           WHERE j.status IN ('todo', 'doing') GROUP BY j.task_name"""
    ).fetchall()


def undelivered(connection: Connection, table: str) -> list[dict[str, Any]]:
    """Of table delivery or notification, by destination and state (pending, parked): how many."""
    query = f"""SELECT destination, state, count(*) AS n FROM {table} WHERE state IN ('pending', 'parked')
           GROUP BY destination, state"""
    return connection.execute(query.encode()).fetchall()


def associations_open(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) AS n FROM association WHERE closed_at IS NULL").fetchone()
    return 0 if row is None else int(row["n"])


def last_instance_age_s(connection: Connection) -> float | None:
    """Seconds since an instance was kept; None: none ever was."""
    row = connection.execute(
        """SELECT extract(epoch FROM clock_timestamp() - received_at)::float8 AS age_s
           FROM instance ORDER BY id DESC LIMIT 1"""
    ).fetchone()
    return None if row is None else float(row["age_s"])


def parts_alive(connection: Connection, fresh_s: float) -> list[dict[str, Any]]:
    """By part: processes with a fresh heartbeat, and how many of them say that their models answer."""
    return connection.execute(
        """SELECT part, count(*) AS n, count(*) FILTER (WHERE detail -> 'healthy' = 'true'::jsonb) AS healthy
           FROM heartbeat WHERE at > clock_timestamp() - make_interval(secs => %s) GROUP BY part""",
        [fresh_s],
    ).fetchall()


def newest(connection: Connection, table: str) -> int:
    """The highest key of a table of TABLES."""
    row = connection.execute(f"SELECT coalesce(max(id), 0) AS id FROM {table}".encode()).fetchone()
    return 0 if row is None else int(row["id"])


_AFTER = "{key} > %(after)s AND (%(upto)s::bigint IS NULL OR {key} <= %(upto)s)"

_HAPPENED = {
    "instance": """
        SELECT CASE WHEN conflict THEN 'conflict' ELSE 'kept' END AS outcome, count(*) AS n
        FROM instance WHERE {range} GROUP BY 1""",
    "quarantine": "SELECT status, count(*) AS n FROM quarantine WHERE {range} GROUP BY status",
    "study": """
        SELECT e.detail ->> 'to' AS state, count(*) AS n FROM event e
        WHERE {range} AND e.entity = 'study' AND e.kind = 'state'
          AND e.detail ->> 'to' IN ('analysed', 'not_applicable', 'failed', 'parked')
        GROUP BY 1""",
    "analysis": """
        SELECT a.model, e.detail ->> 'to' AS state, count(*) AS n
        FROM event e JOIN analysis a ON a.id = CASE e.entity WHEN 'analysis' THEN e.entity_id::bigint END
        WHERE {range} AND e.entity = 'analysis' AND e.kind = 'state'
          AND e.detail ->> 'to' IN ('analysed', 'failed', 'superseded')
        GROUP BY 1, 2""",
    "answer": """
        SELECT a.model, EXISTS (SELECT FROM finding f WHERE f.analysis_id = a.id) AS flag,
               extract(epoch FROM e.at - (
                   SELECT max(i.received_at) FROM jsonb_each_text(a.inputs) AS input
                   JOIN instance i ON i.series_uid = input.value
                   WHERE NOT i.conflict AND i.received_at <= e.at))::float8 AS after_s
        FROM event e JOIN analysis a ON a.id = CASE e.entity WHEN 'analysis' THEN e.entity_id::bigint END
        WHERE {range} AND e.entity = 'analysis' AND e.kind = 'state' AND e.detail ->> 'to' = 'analysed'""",
    "opinion": """
        SELECT a.model, o.verdict, count(*) AS n FROM (SELECT * FROM opinion WHERE {range}) o
        JOIN analysis a ON a.id = o.analysis_id WHERE o.verdict != 'withdrawn' GROUP BY 1, 2""",
    **{
        table: f"""
        SELECT d.destination, CASE e.kind WHEN 'retry' THEN 'retry' ELSE e.detail ->> 'to' END AS outcome, count(*) AS n
        FROM event e JOIN {table} d ON d.id = CASE e.entity WHEN '{table}' THEN e.entity_id::bigint END
        WHERE {{range}} AND e.entity = '{table}'
          AND (e.kind = 'retry' OR e.kind = 'state' AND e.detail ->> 'to' IN ('delivered', 'parked'))
        GROUP BY 1, 2"""
        for table in ("delivery", "notification")
    },
}
TABLES = {
    "instance": "instance",
    "quarantine": "quarantine",
    "study": "event",
    "analysis": "event",
    "answer": "event",
    "delivery": "event",
    "notification": "event",
    "opinion": "opinion",
}
"""Which table's keys say when each kind of thing happened."""


def happened(connection: Connection, what: str, after: int, upto: int | None) -> list[dict[str, Any]]:
    """What happened in the rows with keys after `after`, up to `upto` where given.

    Args:
        what: a key of TABLES. "answer" gives a row an analysis, with seconds since the last instance it read; every
            other kind gives counts.
    """
    key = "e.id" if TABLES[what] == "event" else "id"
    query = _HAPPENED[what].format(range=_AFTER.format(key=key))
    return connection.execute(query.encode(), {"after": after, "upto": upto}).fetchall()
