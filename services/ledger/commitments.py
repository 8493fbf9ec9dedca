"""SQL of storage commitment: what a destination was asked to keep for good, and what it said."""

from datetime import timedelta

from services.ledger import deliveries
from services.ledger.database import Connection
from services.storage_commitment import Report

PATIENCE = timedelta(hours=1)
"""A destination that has not answered by then is sent everything again, and asked again."""


def ask(connection: Connection, transaction_uid: str, delivery_id: int) -> None:
    """A destination is about to be asked."""
    connection.execute(
        "INSERT INTO commitment (transaction_uid, delivery_id) VALUES (%s, %s)", [transaction_uid, delivery_id]
    )


def withdraw(connection: Connection, transaction_uid: str) -> None:
    """It did not take the question."""
    connection.execute("DELETE FROM commitment WHERE transaction_uid = %s AND answered_at IS NULL", [transaction_uid])


def is_awaited(connection: Connection, delivery_id: int) -> bool:
    """Whether the destination was asked lately and has not answered."""
    row = connection.execute(
        """SELECT 1 FROM commitment
           WHERE delivery_id = %s AND answered_at IS NULL AND asked_at > clock_timestamp() - %s::interval""",
        [delivery_id, PATIENCE],
    ).fetchone()
    return row is not None


def answer(connection: Connection, report: Report) -> bool:
    """Write what it said; a delivery that is kept for good is delivered. False: nobody asked that.

    What is kept only in part is sent again when the delivery is next tried.
    """
    row = connection.execute(
        """UPDATE commitment SET answered_at = clock_timestamp() WHERE transaction_uid = %s
           RETURNING delivery_id""",
        [report.transaction_uid],
    ).fetchone()
    if row is None:
        return False
    delivery_id = row["delivery_id"]
    asked = deliveries.instances(connection, delivery_id)
    missing = [uid for uid, _ in asked if uid not in report.committed]
    if missing:
        reasons = sorted({f"0x{report.failed[uid]:04X}" for uid in missing if uid in report.failed})
        why = f" (reason {', '.join(reasons)})" if reasons else ""
        deliveries.refused(
            connection, delivery_id, f"It does not commit to {len(missing)} of {len(asked)} instances{why}."
        )
    else:
        # One that was parked while it was thought over is delivered all the same.
        connection.execute("UPDATE delivery SET state = 'pending' WHERE id = %s AND state = 'parked'", [delivery_id])
        deliveries.delivered(connection, delivery_id, "It has committed to keep it.")
    return True
