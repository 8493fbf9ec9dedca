"""Rows of the audit trail that a repository has still to be sent.

A trigger notes each new row while a repository is named: no id is passed over, in whatever order transactions end.
"""

from services.ledger.audit import Entry
from services.ledger.database import Connection


def begin(connection: Connection) -> None:
    """Note rows from now on; again changes nothing."""
    connection.execute("INSERT INTO audit_repository DEFAULT VALUES ON CONFLICT DO NOTHING")


def end(connection: Connection) -> None:
    """Note no more rows, and forget those that were."""
    connection.execute("DELETE FROM audit_repository")
    connection.execute("DELETE FROM audit_unsent")


def take(connection: Connection, limit: int) -> list[Entry]:
    """The oldest unsent rows that no other process has in hand; sent once the transaction commits."""
    rows = connection.execute(
        """
        WITH taken AS (
            DELETE FROM audit_unsent WHERE audit_id IN (
                SELECT audit_id FROM audit_unsent ORDER BY audit_id LIMIT %s FOR UPDATE SKIP LOCKED
            ) RETURNING audit_id
        )
        SELECT a.id, a.at, a.account, a.action, a.outcome, a.address, a.study_uid,
               md5(s.study_uid) AS study_key, s.patient_id, s.patient_name
        FROM taken JOIN audit a ON a.id = taken.audit_id LEFT JOIN study s USING (study_uid)
        ORDER BY a.id
        """,
        [limit],
    ).fetchall()
    return [Entry(**row) for row in rows]


def read_unsent(connection: Connection) -> tuple[int, float]:
    """How many rows wait, and for how many seconds the oldest has."""
    row = connection.execute(
        """SELECT count(*) AS waiting,
                  coalesce(extract(epoch FROM clock_timestamp() - min(a.at)), 0)::float AS oldest_s
           FROM audit_unsent u JOIN audit a ON a.id = u.audit_id"""
    ).fetchone()
    assert row is not None
    return row["waiting"], max(0.0, row["oldest_s"])
