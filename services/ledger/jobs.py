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

URGENT_PRIORITY = 30
"""Models at or above it look for what cannot wait: haemorrhage and stroke."""
URGENT_QUEUE = "inference-urgent"
"""Their analyses: workers keep places for them that nothing else takes."""
AGEING_S = 90.0
"""An analysis that waits for so long is as good as one of the next higher priority."""

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
    queue = URGENT_QUEUE if task == "infer" and priority >= URGENT_PRIORITY else QUEUES[task]
    job = _deferrer.configure_task(
        task, queue=queue, priority=priority, lock=lock or name, queueing_lock=name, connection=connection
    )
    if connection.info.transaction_status == TransactionStatus.IDLE:
        connection.execute("SELECT")  # opens the caller's transaction; else the next block would commit on its own
    try:
        with connection.transaction():
            job.defer(identifier=identifier)
    except AlreadyEnqueued:
        return


def age_analyses(connection: Connection) -> None:
    """Raise the priority of analyses that wait, so that a stream of more urgent ones starves none of them."""
    connection.execute(
        """UPDATE procrastinate_jobs j SET priority = aged.priority
           FROM (SELECT j.id, m.priority
                     + floor(extract(epoch FROM clock_timestamp() - a.queued_at) / %s)::int AS priority
                 FROM procrastinate_jobs j JOIN analysis a ON a.id = (j.args ->> 'identifier')::bigint
                 JOIN model m ON m.name = a.model WHERE j.task_name = 'infer' AND j.status = 'todo'
                 FOR UPDATE OF j SKIP LOCKED) AS aged
           WHERE aged.id = j.id AND aged.priority > j.priority""",
        [AGEING_S],
    )


def record_event(
    connection: Connection, entity: str, entity_id: str | int, kind: str, *, study_uid: str | None = None, **detail: Any
) -> None:
    """Append an event that is not a state change. `detail` must hold no patient data."""
    connection.execute(
        "INSERT INTO event (entity, entity_id, study_uid, kind, detail) VALUES (%s, %s, %s, %s, %s)",
        [entity, str(entity_id), study_uid, kind, Jsonb(detail)],
    )
