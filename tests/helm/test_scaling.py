"""KEDA's questions, as the chart asks them, to a real ledger."""

from typing import Any

from support.chart import CHART, one, render
from support.triage import add_analysis, add_study, run_analysis

from services.context import Context
from services.ledger.jobs import defer


def ask(context: Context, part: str, trigger: int = 0) -> float:
    scaled = one(render(CHART / "examples" / "region.yaml"), "ScaledObject", f"-{part}")
    query = scaled["spec"]["triggers"][trigger]["metadata"]["query"]
    with context.pool.connection() as connection:
        row: dict[str, Any] | None = connection.execute(query.encode()).fetchone()
    assert row is not None
    return float(next(iter(row.values())))


def test_workers_and_inference_grow_with_what_waits_for_them(context: Context) -> None:
    assert ask(context, "worker") == ask(context, "inference") == 0
    with context.pool.connection() as connection:
        for number in range(3):
            defer(connection, "route", f"1.2.{number}")
        defer(connection, "deliver", 1)
        defer(connection, "infer", 1, priority=40)
        connection.execute(
            "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour' WHERE task_name = 'deliver'"
        )
    assert ask(context, "worker") == 3, "a try that is due in an hour needs no worker now"
    assert ask(context, "inference") == 1


def test_inference_grows_with_the_wait_of_the_oldest_urgent_analysis(context: Context) -> None:
    assert ask(context, "inference", 1) == 0
    with context.pool.connection() as connection:
        connection.execute(
            """INSERT INTO model (name, version, weights_digest, roles, priority)
               VALUES ('ich', '1', 'w', '{}', 40), ('enhance', '1', 'w', '{}', 10)"""
        )
        late = add_analysis(connection, add_study(connection, 1), model="enhance")
        connection.execute("UPDATE analysis SET queued_at = now() - interval '1 hour' WHERE id = %s", [late])
        urgent = add_analysis(connection, add_study(connection, 2))
        connection.execute("UPDATE analysis SET queued_at = now() - interval '40 seconds' WHERE id = %s", [urgent])
    assert 40 <= ask(context, "inference", 1) < 3600
    with context.pool.connection() as connection:
        run_analysis(connection, urgent)
    assert ask(context, "inference", 1) == 0
