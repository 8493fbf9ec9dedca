"""Rows of the deliver stage: a delivery is taken, delivered, parked or cancelled."""

from dataclasses import dataclass

from services.ledger.database import Connection
from services.ledger.jobs import record_event


@dataclass(frozen=True)
class Delivery:
    """A pending delivery, as the stage needs it.

    Attributes:
        instances: SOP Instance UID and storage key of each Part 10 file: of one result, or of a derived series' all.
    """

    id: int
    destination: str
    instances: tuple[tuple[str, str], ...]


def take(connection: Connection, delivery_id: int) -> Delivery | None:
    """Count a try of a pending delivery; None when there is nothing to send.

    One whose result or analysis was superseded is cancelled here: the newer result says it better.
    """
    row = connection.execute(
        """SELECT d.id, d.destination, d.state,
               r.superseded_at IS NOT NULL OR coalesce(a.state = 'superseded', false) AS superseded
           FROM delivery d JOIN result r ON r.id = d.result_id LEFT JOIN analysis a ON a.id = r.analysis_id
           WHERE d.id = %s FOR UPDATE OF d""",
        [delivery_id],
    ).fetchone()
    if row is None or row["state"] != "pending":
        return None
    if row["superseded"]:
        connection.execute(
            "UPDATE delivery SET state = 'cancelled', reason = 'A newer analysis replaced this result.' WHERE id = %s",
            [delivery_id],
        )
        return None
    connection.execute("UPDATE delivery SET attempts = attempts + 1 WHERE id = %s", [delivery_id])
    return Delivery(row["id"], row["destination"], instances(connection, delivery_id))


def instances(connection: Connection, delivery_id: int) -> tuple[tuple[str, str], ...]:
    """SOP Instance UID and storage key of what a delivery brings."""
    together = connection.execute(
        """SELECT each.sop_instance_uid, each.digest FROM delivery d JOIN result r ON r.id = d.result_id
           JOIN result each ON each.id = r.id OR (r.kind = 'mr' AND each.kind = 'mr'
               AND each.analysis_id = r.analysis_id AND each.series_uid = r.series_uid)
           WHERE d.id = %s ORDER BY each.id""",
        [delivery_id],
    ).fetchall()
    return tuple((result["sop_instance_uid"], result["digest"]) for result in together)


def delivered(connection: Connection, delivery_id: int, note: str) -> None:
    """The destination has it; `note` says what it remarked, if anything."""
    connection.execute(
        """UPDATE delivery SET state = 'delivered', reason = %s, delivered_at = clock_timestamp()
           WHERE id = %s AND state = 'pending'""",
        [note or None, delivery_id],
    )


def is_delivered(connection: Connection, delivery_id: int) -> bool:
    row = connection.execute("SELECT 1 FROM delivery WHERE id = %s AND state = 'delivered'", [delivery_id]).fetchone()
    return row is not None


def refused(connection: Connection, delivery_id: int, reason: str) -> None:
    """Keep why a try failed; the delivery stays pending."""
    row = connection.execute(
        "UPDATE delivery SET reason = %s WHERE id = %s AND state = 'pending' RETURNING attempts", [reason, delivery_id]
    ).fetchone()
    if row is not None:
        record_event(connection, "delivery", delivery_id, "retry", attempts=row["attempts"], reason=reason)


def park(connection: Connection, delivery_id: int, reason: str) -> None:
    """End a delivery that did not succeed, visibly; it can be retried by hand."""
    connection.execute(
        "UPDATE delivery SET state = 'parked', reason = %s WHERE id = %s AND state = 'pending'", [reason, delivery_id]
    )
