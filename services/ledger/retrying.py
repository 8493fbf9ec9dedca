"""Work that was parked, taken up again by hand."""

from dataclasses import dataclass

from services.ledger.database import Connection
from services.ledger.jobs import defer, record_event

_TASKS = {"delivery": "deliver", "notification": "notify"}
_STUDY = {
    "delivery": "(SELECT study_uid FROM result WHERE id = t.result_id)",
    "notification": "t.study_uid",
}


@dataclass(frozen=True)
class Retried:
    """How many of each kind go out again."""

    deliveries: int
    notifications: int

    @property
    def total(self) -> int:
        return self.deliveries + self.notifications


def retry_parked(connection: Connection, *, study_uid: str | None, destination: str | None) -> Retried:
    """Take what is parked back to pending and queue it: of one study, of one destination, or all.

    Tries count on; each has as many again as the settings allow.
    """
    counts = {}
    for table, task in _TASKS.items():
        rows = connection.execute(
            f"""UPDATE {table} t SET state = 'pending' WHERE t.state = 'parked'
                AND (%(study)s::text IS NULL OR {_STUDY[table]} = %(study)s)
                AND (%(destination)s::text IS NULL OR t.destination = %(destination)s)
                RETURNING t.id, {_STUDY[table]} AS study_uid""".encode(),
            {"study": study_uid, "destination": destination},
        ).fetchall()
        for row in rows:
            record_event(connection, table, row["id"], "retried by hand", study_uid=row["study_uid"])
            defer(connection, task, row["id"], priority=10)
        counts[table] = len(rows)
    return Retried(counts["delivery"], counts["notification"])
