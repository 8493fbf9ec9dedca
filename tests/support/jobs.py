"""Run deferred jobs one after the other, without a worker."""

from collections.abc import Mapping

from services.context import Context
from services.errors import Retry
from services.ledger.jobs import Stage


def drain(context: Context, stages: Mapping[str, Stage]) -> list[tuple[str, str | int]]:
    """Run the waiting jobs of `stages` until none is left; (task, identifier) in order of running.

    A job that asks for a retry is given up at once.
    """
    ran: list[tuple[str, str | int]] = []
    while True:
        with context.pool.connection() as connection:
            job = connection.execute(
                """
                DELETE FROM procrastinate_jobs WHERE id = (
                    SELECT id FROM procrastinate_jobs WHERE status = 'todo' AND task_name = ANY(%s)
                    ORDER BY priority DESC, id LIMIT 1)
                RETURNING task_name, args
                """,
                [list(stages)],
            ).fetchone()
        if job is None:
            return ran
        stage, identifier = stages[job["task_name"]], job["args"]["identifier"]
        try:
            stage.run(context, identifier)
        except Retry as error:
            stage.give_up(context, identifier, str(error))
        ran.append((job["task_name"], identifier))


def waiting(context: Context, task: str) -> list[str | int]:
    """Identifiers of the waiting jobs of one task."""
    with context.pool.connection() as connection:
        rows = connection.execute(
            "SELECT args FROM procrastinate_jobs WHERE task_name = %s AND status = 'todo' ORDER BY id", [task]
        ).fetchall()
    return [row["args"]["identifier"] for row in rows]
