"""Jobs between the stages, deferred by name on the connection that changes the state.

A stage is two functions: one that does the work and one that names its end when the tries are used up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

from services.context import Context
from services.ledger.database import Connection

QUEUES = {
    "assemble": "assembly",
    "route": "assembly",
    "infer": "inference",
    "shadow": "shadow",
    "encode": "results",
    "select": "results",
    "correct": "results",
    "arrive": "results",
    "deliver": "delivery",
    "notify": "delivery",
}

_deferrer = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())


@dataclass(frozen=True)
class Stage:
    """One stage of the flow as the worker runs it.

    Attributes:
        task: name under which its jobs are deferred; a key of QUEUES.
        run: does the work for one identifier; raises Retry or Reject, or returns.
        give_up: puts the named failed or parked state in the ledger: (context, identifier, reason sentence).
        attempts: how often `run` is tried before `give_up`.
        wait_s: pause before the second try; doubles each time, up to an hour.
    """

    task: str
    run: Callable[[Context, Any], None]
    give_up: Callable[[Context, Any, str], None]
    attempts: int = 5
    wait_s: float = 2.0


def defer(
    connection: Connection, task: str, identifier: str | int, *, priority: int = 0, lock: str | None = None
) -> None:
    """Queue a job in the transaction open on `connection`; a waiting job for the same identifier is enough.

    Args:
        priority: larger runs sooner.
        lock: jobs with one lock never run side by side; defaults to task and identifier.
    """
    name = f"{task}:{identifier}"
    job = _deferrer.configure_task(
        task, queue=QUEUES[task], priority=priority, lock=lock or name, queueing_lock=name, connection=connection
    )
    if connection.info.transaction_status == TransactionStatus.IDLE:
        connection.execute("SELECT")  # opens the caller's transaction; else the next block would commit on its own
    try:
        with connection.transaction():
            job.defer(identifier=identifier)
    except AlreadyEnqueued:
        return


def record_event(
    connection: Connection, entity: str, entity_id: str | int, kind: str, *, study_uid: str | None = None, **detail: Any
) -> None:
    """Append an event that is not a state change. `detail` must hold no patient data."""
    connection.execute(
        "INSERT INTO event (entity, entity_id, study_uid, kind, detail) VALUES (%s, %s, %s, %s, %s)",
        [entity, str(entity_id), study_uid, kind, Jsonb(detail)],
    )
