"""What changes a workitem once it is made: moves, who holds which part, what stands, when it is due."""

from datetime import datetime

from services.ledger.database import Connection
from services.ledger.jobs import record_event
from services.ledger.workitems import Slot, State, Workitem, record_decision


def move(
    connection: Connection,
    item: Workitem,
    target: State,
    *,
    account: str | None,
    role: str | None,
    reason: str | None = None,
    next_round: bool = False,
) -> None:
    """Change the state and write the decision. The ledger refuses a move that its table does not have."""
    number = item.round + next_round
    connection.execute(
        "UPDATE workitem SET state = %s, round = %s, changed_at = clock_timestamp() WHERE id = %s",
        [target, number, item.id],
    )
    if next_round:
        connection.execute(
            "UPDATE reading SET submitted_id = NULL, submitted_at = NULL WHERE workitem_id = %s", [item.id]
        )
    record_decision(connection, item.id, item.round, item.state, target, account, role, reason)


def assign(connection: Connection, item: Workitem, slot: Slot, account: str, *, by: str) -> None:
    """Give a slot to an account, which must not hold another one; whoever held it before no longer does."""
    connection.execute(
        """INSERT INTO reading (workitem_id, slot, account, assigned_by) VALUES (%s, %s, %s, %s)
           ON CONFLICT (workitem_id, slot) DO UPDATE SET account = excluded.account, assigned_by = excluded.assigned_by,
               assigned_at = clock_timestamp(), submitted_id = NULL, submitted_at = NULL""",
        [item.id, slot, account, by],
    )
    record_event(
        connection, "workitem", item.id, "assigned", study_uid=item.study_uid, account=by, to=account, slot=slot.value
    )


def unassign(connection: Connection, item: Workitem, slot: Slot, *, by: str) -> None:
    """Take a slot back from whoever holds it; what they saved stays."""
    connection.execute("DELETE FROM reading WHERE workitem_id = %s AND slot = %s", [item.id, slot])
    record_event(connection, "workitem", item.id, "given back", study_uid=item.study_uid, account=by, slot=slot.value)


def hand_in(connection: Connection, item: Workitem, slot: Slot, annotation_id: int) -> None:
    """Mark a slot's reading of this round as submitted."""
    connection.execute(
        """UPDATE reading SET submitted_id = %s, submitted_at = clock_timestamp()
           WHERE workitem_id = %s AND slot = %s""",
        [annotation_id, item.id, slot],
    )


def let_stand(connection: Connection, item: Workitem, annotation_id: int | None) -> None:
    """Name the annotation that stands for the workitem."""
    connection.execute("UPDATE workitem SET standing_id = %s WHERE id = %s", [annotation_id, item.id])


def keep_answer(connection: Connection, item: Workitem, mask_digest: str) -> None:
    """Remember the storage key of the answer as a mask."""
    connection.execute("UPDATE workitem SET ai_digest = %s WHERE id = %s", [mask_digest, item.id])


def plan(connection: Connection, item: Workitem, *, priority: int, due_at: datetime | None, by: str) -> None:
    """Change priority and due date."""
    connection.execute("UPDATE workitem SET priority = %s, due_at = %s WHERE id = %s", [priority, due_at, item.id])
    record_event(connection, "workitem", item.id, "planned", study_uid=item.study_uid, account=by, priority=priority)
