"""Who reads a study: claimed, given back, handed over; and which alerts a reader has acknowledged."""

from collections.abc import Sequence
from datetime import datetime

from services.ledger.database import Connection
from services.ledger.jobs import record_event


def claim(connection: Connection, study_uid: str, account: str, now: datetime) -> str:
    """Take a study for a reader unless somebody has it; returns who has it afterwards."""
    holder = _holder(connection, study_uid)
    if holder is not None:
        return holder
    connection.execute(
        "UPDATE study SET claimed_by = %s, claimed_at = %s, handed_over_by = NULL WHERE study_uid = %s",
        [account, now, study_uid],
    )
    record_event(connection, "study", study_uid, "claimed", study_uid=study_uid, account=account)
    return account


def release(connection: Connection, study_uid: str, account: str, *, of_others: bool) -> bool:
    """Give a claim back; False when it belongs to somebody else and `of_others` is not allowed."""
    holder = _holder(connection, study_uid)
    if holder is None:
        return True
    if holder != account and not of_others:
        return False
    connection.execute(
        "UPDATE study SET claimed_by = NULL, claimed_at = NULL, handed_over_by = NULL WHERE study_uid = %s",
        [study_uid],
    )
    record_event(connection, "study", study_uid, "released", study_uid=study_uid, account=account)
    return True


def hand_over(connection: Connection, study_uid: str, account: str, to: str) -> bool:
    """Give a claim to another reader; False when `account` does not hold it. Waiting stays ended since the first claim.

    The caller sees to it that `to` is somebody who may read.
    """
    if _holder(connection, study_uid) != account:
        return False
    connection.execute(
        "UPDATE study SET claimed_by = %s, handed_over_by = %s WHERE study_uid = %s", [to, account, study_uid]
    )
    record_event(connection, "study", study_uid, f"handed over to {to}", study_uid=study_uid, account=account)
    return True


def claimed_studies(connection: Connection, account: str) -> list[str]:
    """Study Instance UIDs that an account holds."""
    rows = connection.execute(
        "SELECT study_uid FROM study WHERE claimed_by = %s ORDER BY claimed_at FOR UPDATE", [account]
    ).fetchall()
    return [row["study_uid"] for row in rows]


def acknowledge(connection: Connection, account: str, alerts: Sequence[str]) -> None:
    """Remember that this account has heard and seen these alerts."""
    for alert in alerts:
        connection.execute(
            "INSERT INTO acknowledgement (account, alert) VALUES (%s, %s) ON CONFLICT DO NOTHING", [account, alert]
        )


def acknowledged(connection: Connection, account: str, since: datetime) -> frozenset[str]:
    """Alerts this account acknowledged after `since`."""
    rows = connection.execute(
        "SELECT alert FROM acknowledgement WHERE account = %s AND at > %s", [account, since]
    ).fetchall()
    return frozenset(row["alert"] for row in rows)


def _holder(connection: Connection, study_uid: str) -> str | None:
    row = connection.execute("SELECT claimed_by FROM study WHERE study_uid = %s FOR UPDATE", [study_uid]).fetchone()
    return None if row is None or row["claimed_by"] is None else str(row["claimed_by"])
