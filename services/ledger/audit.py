"""The audit trail: who did what to which study, when, from where, with what outcome (PS3.15 A.5)."""

from dataclasses import dataclass
from datetime import datetime

from services.ledger.database import Connection


@dataclass(frozen=True)
class Entry:
    """One row of the trail. What a study's row no longer says, or never said, is None.

    Attributes:
        account: None where nobody was known, as for a sign-in with an unknown name.
        action: in the words of who recorded it, such as "view".
        address: where the request came from.
        study_key: what the pages call the study.
    """

    id: int
    at: datetime
    account: str | None
    action: str
    outcome: str
    address: str | None
    study_uid: str | None
    study_key: str | None
    patient_id: str | None
    patient_name: str | None


@dataclass(frozen=True)
class Wanted:
    """Which rows: all of a time, or those of an account, a study, or both; `before` is the id of the last one seen."""

    since: datetime
    account: str | None = None
    study_uid: str | None = None
    before: int | None = None


def record_audit(
    connection: Connection,
    action: str,
    *,
    account: str | None,
    address: str | None,
    outcome: str = "success",
    study_uid: str | None = None,
) -> None:
    """Append a row, in the transaction of what it records."""
    connection.execute(
        "INSERT INTO audit (account, action, outcome, study_uid, address) VALUES (%s, %s, %s, %s, %s)",
        [account, action, outcome, study_uid, address],
    )


def list_entries(connection: Connection, wanted: Wanted, limit: int | None = None) -> list[Entry]:
    """The newest rows, newest first."""
    rows = connection.execute(
        """
        SELECT a.id, a.at, a.account, a.action, a.outcome, a.address, a.study_uid,
               md5(s.study_uid) AS study_key, s.patient_id, s.patient_name
        FROM audit a LEFT JOIN study s USING (study_uid)
        WHERE a.at >= %(since)s
          AND (%(account)s::text IS NULL OR a.account = %(account)s)
          AND (%(study_uid)s::text IS NULL OR a.study_uid = %(study_uid)s)
          AND (%(before)s::bigint IS NULL OR a.id < %(before)s)
        ORDER BY a.id DESC LIMIT %(limit)s
        """,
        {
            "since": wanted.since,
            "account": wanted.account,
            "study_uid": wanted.study_uid,
            "before": wanted.before,
            "limit": limit,
        },
    ).fetchall()
    return [Entry(**row) for row in rows]
