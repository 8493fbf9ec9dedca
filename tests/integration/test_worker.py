"""The worker keeps trying what may succeed, ends what cannot, and takes over from the dead."""

import asyncio
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from support.triage import add_analysis, add_study

from services import worker
from services.context import Context
from services.errors import Reject, Retry
from services.ledger.database import connect
from services.ledger.jobs import URGENT_QUEUE, Stage, age_analyses, defer


def run_until(context: Context, stage: Stage, done: Callable[[], bool]) -> None:
    """Run a worker for one stage until `done`, then end it as SIGTERM would."""

    async def body() -> None:
        task = asyncio.create_task(worker.work(context, [stage]))
        while not done():
            assert not task.done(), task
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(body(), 60))


def queue(context: Context, identifier: str) -> None:
    with context.pool.connection() as connection:
        defer(connection, "route", identifier)


class Recorder:
    """A stage that raises what it is told to, in order, and remembers its end."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.runs = 0
        self.finished = False
        self.end: str | None = None

    def run(self, context: Context, identifier: Any) -> None:
        self.runs += 1
        if self.errors:
            raise self.errors.pop(0)
        self.finished = True

    def give_up(self, context: Context, identifier: Any, reason: str) -> None:
        self.end = reason

    def stage(self, attempts: int = 3) -> Stage:
        return Stage("route", self.run, self.give_up, attempts=attempts, wait_s=0.01)

    def done(self) -> bool:
        return self.finished or self.end is not None


def test_a_retry_succeeds_later(context: Context) -> None:
    recorder = Recorder(Retry("The destination is away."), ValueError("unforeseen"))
    queue(context, "1")
    run_until(context, recorder.stage(), recorder.done)
    assert (recorder.runs, recorder.finished, recorder.end) == (3, True, None)


def test_a_reject_ends_at_once(context: Context) -> None:
    recorder = Recorder(Reject("The slices have no positions."))
    queue(context, "1")
    run_until(context, recorder.stage(), recorder.done)
    assert (recorder.runs, recorder.end) == (1, "The slices have no positions.")


def test_the_last_try_names_the_end_and_quotes_no_foreign_text(context: Context) -> None:
    recorder = Recorder(*(ValueError("DOE^JANE") for _ in range(9)))
    queue(context, "1")
    run_until(context, recorder.stage(attempts=3), recorder.done)
    assert recorder.runs == 3
    assert recorder.end == "An unforeseen ValueError in route. Given up after 3 tries."


def test_an_absent_ledger_never_uses_up_the_tries(context: Context) -> None:
    recorder = Recorder(*(psycopg.OperationalError("gone") for _ in range(5)))
    queue(context, "1")
    run_until(context, recorder.stage(attempts=2), recorder.done)
    assert (recorder.runs, recorder.finished, recorder.end) == (6, True, None)


def test_a_full_disk_never_uses_up_the_tries(context: Context) -> None:
    recorder = Recorder(*(OSError(errno.ENOSPC, "No space left on device") for _ in range(5)))
    queue(context, "1")
    run_until(context, recorder.stage(attempts=2), recorder.done)
    assert (recorder.runs, recorder.finished, recorder.end) == (6, True, None)


def test_a_waiting_job_is_enough(context: Context) -> None:
    for _ in range(3):
        queue(context, "1")
    queue(context, "2")
    with context.pool.connection() as connection:
        rows = connection.execute("SELECT args FROM procrastinate_jobs ORDER BY id").fetchall()
    assert [row["args"] for row in rows] == [{"identifier": "1"}, {"identifier": "2"}]


def test_a_job_goes_with_the_transaction_that_caused_it(context: Context) -> None:
    with pytest.raises(RuntimeError), context.pool.connection() as connection:
        defer(connection, "route", "1")
        raise RuntimeError
    with context.pool.connection() as connection:
        assert connection.execute("SELECT count(*) AS n FROM procrastinate_jobs").fetchone() == {"n": 0}


DYING_WORKER = """
import asyncio, os, signal, sys
from services import worker
from services.context import Context
from services.ledger.database import open_pool
from services.ledger.jobs import Stage
from services.settings import Settings

url = sys.argv[1]
settings = Settings.model_validate({"database": {"url": url}})
def die(context, identifier):
    os.kill(os.getpid(), signal.SIGKILL)
context = Context(settings, open_pool(url), store=None)
asyncio.run(worker.work(context, [Stage("route", die, die)]))
"""


DRAINED_WORKER = """
import asyncio, os, signal, sys, threading
from services import worker
from services.context import Context
from services.errors import Interrupted
from services.ledger.database import open_pool
from services.ledger.jobs import Stage
from services.settings import Settings

url = sys.argv[1]
settings = Settings.model_validate({"database": {"url": url}})
begun = threading.Event()
def run(context, identifier):
    if not begun.is_set():  # a node is drained while this runs; it ends, as most work does, before the pod must
        begun.set()
        os.kill(os.getpid(), signal.SIGTERM)
        print("ended", flush=True)
        return
    raise Interrupted("The part was asked to end.")
def give_up(context, identifier, reason):
    os._exit(3)
context = Context(settings, open_pool(url), store=None)
asyncio.run(worker.work(context, [Stage("route", run, give_up)]))
context.pool.close()
"""


def test_a_worker_asked_to_end_ends_what_it_runs_and_leaves_the_rest_to_others(
    context: Context, database_url: str
) -> None:
    for identifier in ("1", "2", "3"):
        queue(context, identifier)
    one_place = {"NIGHTJAR_WORKER__CONCURRENCY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DRAINED_WORKER, database_url], check=False, capture_output=True, timeout=120,
        env=os.environ | one_place,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"ended\n"), done.stderr
    with connect(database_url) as connection:
        rows = connection.execute("SELECT status::text, attempts FROM procrastinate_jobs").fetchall()
    assert {row["status"] for row in rows} == {"todo"}, "nothing is left to a worker that is gone"
    assert len(rows) >= 2
    recorder = Recorder()
    left = len(rows)
    run_until(context, recorder.stage(attempts=1), lambda: recorder.runs >= left)
    assert (recorder.end, recorder.finished) == (None, True)


@pytest.mark.parametrize("asked_again", [False, True])
def test_the_job_of_a_killed_worker_runs_again(context: Context, database_url: str, asked_again: bool) -> None:
    queue(context, "1")
    dead = subprocess.run(
        [sys.executable, "-c", DYING_WORKER, database_url], check=False, capture_output=True, timeout=60
    )
    assert dead.returncode == -9, dead.stderr
    with connect(database_url) as connection:
        assert connection.execute("SELECT status::text FROM procrastinate_jobs").fetchall() == [{"status": "doing"}]
    if asked_again:  # as the sweep does, before anybody noticed the death
        queue(context, "1")
    recorder = Recorder()
    quick = context.settings.worker.model_copy(update={"stalled_s": 1.0, "heartbeat_s": 0.3})
    patient = Context(context.settings.model_copy(update={"worker": quick}), context.pool, context.store)
    run_until(patient, recorder.stage(), recorder.done)
    assert recorder.finished


def test_a_worker_outlives_a_takeover_in_which_another_was_first(context: Context, database_url: str) -> None:
    """Each part looks for the jobs of silent workers: who comes second is told that there is no such job to take."""
    queue(context, "1")
    dead = subprocess.run(
        [sys.executable, "-c", DYING_WORKER, database_url], check=False, capture_output=True, timeout=60
    )
    assert dead.returncode == -9, dead.stderr
    with connect(database_url) as connection:
        connection.execute("CREATE SEQUENCE takeover")
        connection.execute(
            """CREATE FUNCTION come_second_once() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN
                   IF nextval('takeover') = 1 THEN RAISE 'Job was not found or has an invalid status to retry'; END IF;
                   RETURN NEW;
               END $$"""
        )
        connection.execute(
            """CREATE TRIGGER come_second_once BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW
               WHEN (OLD.status = 'doing' AND NEW.status = 'todo') EXECUTE FUNCTION come_second_once()"""
        )
    recorder = Recorder()
    quick = context.settings.worker.model_copy(update={"stalled_s": 1.0, "heartbeat_s": 0.3})
    patient = Context(context.settings.model_copy(update={"worker": quick}), context.pool, context.store)
    run_until(patient, recorder.stage(), recorder.done)
    assert recorder.finished


def test_urgent_analyses_have_places_that_routine_ones_cannot_take(context: Context) -> None:
    """Four places are taken by work that ends only once the urgent analysis, queued last, is done."""
    urgent_done = threading.Event()
    done: list[int] = []

    def run(_: Context, identifier: int) -> None:
        if identifier != 0:
            assert urgent_done.wait(30)
        done.append(identifier)
        urgent_done.set()

    stage = Stage("infer", run, lambda *_: None)
    with context.pool.connection() as connection:
        for number in range(1, 9):
            defer(connection, "infer", number, priority=10)

    async def body() -> None:
        lanes = ((URGENT_QUEUE,), ("inference",))
        task = asyncio.create_task(worker.work(context, [stage], lanes=lanes))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(queue_urgent)
        while len(done) < 9:
            assert not task.done(), task
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def queue_urgent() -> None:
        with context.pool.connection() as connection:
            defer(connection, "infer", 0, priority=40)

    asyncio.run(asyncio.wait_for(body(), 60))
    assert done[0] == 0


def test_an_analysis_that_waits_is_raised_until_its_turn_comes(context: Context) -> None:
    with context.pool.connection() as connection:
        connection.execute(
            """INSERT INTO model (name, version, weights_digest, roles, priority)
               VALUES ('tumor', '1', 'w', '{}', 20), ('enhance', '1', 'w', '{}', 10)"""
        )
        old = add_analysis(connection, add_study(connection, 1), model="enhance")
        fresh = add_analysis(connection, add_study(connection, 2), model="tumor")
        connection.execute("UPDATE analysis SET queued_at = now() - interval '20 minutes' WHERE id = %s", [old])
        for identifier, priority in ((fresh, 20), (old, 10)):
            defer(connection, "infer", identifier, priority=priority)
        for _ in range(2):
            age_analyses(connection)
        rows = connection.execute(
            "SELECT args ->> 'identifier' AS id, priority FROM procrastinate_jobs ORDER BY priority DESC"
        ).fetchall()
    assert {row["id"]: row["priority"] for row in rows} == {str(old): 23, str(fresh): 20}
