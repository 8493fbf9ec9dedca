"""The worker: runs the stages' jobs, tries again what may succeed, names the end of what will not.

Nothing is dropped on an unexpected exception: it counts as a failed try, and the last one parks the work by name.
"""

import asyncio
import errno
import logging
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import procrastinate
import psycopg
from procrastinate import BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.jobs import DeleteJobCondition, Job, Status
from psycopg_pool import PoolTimeout

from services.context import Context
from services.errors import Interrupted, NightjarError, Reject, Retry, StoreAway
from services.ledger.database import NOTICE_SOON
from services.ledger.history import pseudonym_of_job
from services.ledger.jobs import QUEUES, URGENT_QUEUE, Stage
from services.operations.correlation import of_study
from services.operations.probes import Health

SWEEP_PERIOD_S = 1.0
BEAT_PERIOD_S = 1.0
LONGEST_WAIT_S = 3600.0
OTHER_THREADS = 4
"""For the sweep and the like, beside a thread for each place."""
LONGEST_WAIT_FOR_SITE_S = 15.0
"""Between tries that fail for want of the ledger, the store or room: what waits goes on soon after they are back."""

logger = logging.getLogger(__name__)


async def work(
    context: Context,
    served: Sequence[Stage],
    *,
    lanes: Sequence[Sequence[str]] = (),
    sweep: Callable[[Context], object] | None = None,
    health: Health | None = None,
) -> None:
    """Run the jobs of some stages until SIGTERM or SIGINT, and recover those of dead workers.

    Args:
        lanes: queues that share places of their own, `worker.concurrency` each; none: all queues share them.
        sweep: called every second beside the jobs; closes series whose time has come.
        health: beaten every second.
    """
    settings = context.settings.worker
    if not lanes:
        queues = {QUEUES[stage.task] for stage in served}
        lanes = [sorted(queues | ({URGENT_QUEUE} if "infer" in {stage.task for stage in served} else set()))]
    places = settings.concurrency * len(lanes)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(places + OTHER_THREADS))
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=context.settings.database_url, min_size=1, max_size=2 + 2 * len(lanes), kwargs=dict(NOTICE_SOON)
        )
    )
    for stage in served:
        _register(app, context, stage)
    async with app.open_async():
        helpers = [asyncio.create_task(_recover(app, settings.stalled_s), name="recover")]
        if sweep is not None:
            helpers.append(asyncio.create_task(_sweep(context, sweep), name="sweep"))
        if health is not None:
            helpers.append(asyncio.create_task(_beat(health), name="beat"))
        workers = [
            asyncio.create_task(
                app.run_worker_async(
                    queues=list(queues),
                    concurrency=settings.concurrency,
                    fetch_job_polling_interval=1.0,
                    update_heartbeat_interval=settings.heartbeat_s,
                    stalled_worker_timeout=settings.stalled_s,
                    shutdown_graceful_timeout=10.0,
                    delete_jobs=DeleteJobCondition.SUCCESSFUL,
                    install_signal_handlers=False,
                ),
                name="worker",
            )
            for queues in lanes
        ]

        def end() -> None:
            if health is not None:
                health.ending.set()
            for worker in workers:
                worker.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        try:
            # A helper that ends has failed: the process must end too, so that whoever started it starts it again.
            done, _ = await asyncio.wait([*workers, *helpers], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled():
                    task.result()
        finally:
            for task in (*helpers, *workers):
                task.cancel()
            await asyncio.gather(*helpers, *workers, return_exceptions=True)


def _register(app: procrastinate.App, context: Context, stage: Stage) -> None:
    @app.task(name=stage.task, queue=QUEUES[stage.task], retry=_Backoff(stage), pass_context=True)
    def run_stage(job_context: JobContext, identifier: Any) -> None:
        attempt = job_context.job.attempts + 1
        try:
            with context.pool.connection() as connection:
                pseudonym = pseudonym_of_job(connection, stage.task, identifier)
        except (psycopg.OperationalError, PoolTimeout):
            logger.warning("The ledger does not answer; %s is tried again.", stage.task)
            raise
        with of_study(pseudonym, stage.task, attempt=attempt):
            _run(context, stage, identifier, attempt)


def _run(context: Context, stage: Stage, identifier: Any, attempt: int) -> None:
    try:
        stage.run(context, identifier)
    except (psycopg.OperationalError, PoolTimeout):
        # Without the ledger no end can be written either: keep trying until it is back.
        logger.warning("The ledger does not answer; %s is tried again.", stage.task)
        raise
    except Interrupted:
        raise
    except Reject as error:
        stage.give_up(context, identifier, str(error))
    except Exception as error:
        if _is_the_sites(error):
            what = str(error) if isinstance(error, StoreAway) else "The disk is full."
            logger.warning("%s %s is tried again.", what, stage.task.capitalize())
            raise
        if attempt < stage.attempts:
            if not isinstance(error, Retry):
                logger.exception("%s failed in a way nobody foresaw; it is tried again.", stage.task)
            raise
        stage.give_up(context, identifier, _end(stage, attempt, error))


def _is_the_sites(error: BaseException) -> bool:
    """Whether a try failed for want of the ledger, the store or room on a disk: no study's fault, so never its end."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, psycopg.OperationalError | PoolTimeout | StoreAway)


def _end(stage: Stage, attempts: int, error: Exception) -> str:
    # The text of a foreign exception may quote patient data; only its type is kept.
    what = str(error) if isinstance(error, NightjarError) else f"An unforeseen {type(error).__name__} in {stage.task}."
    return f"{what} Given up after {attempts} tries."


class _Backoff(BaseRetryStrategy):
    def __init__(self, stage: Stage) -> None:
        self._wait_s = stage.wait_s

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        longest_s = LONGEST_WAIT_FOR_SITE_S if _is_the_sites(exception) else LONGEST_WAIT_S
        wait_s = min(self._wait_s * 2 ** min(job.attempts, 20), longest_s)
        return RetryDecision(retry_in={"milliseconds": int(wait_s * 1000)})


async def _recover(app: procrastinate.App, stalled_s: float) -> None:
    """Queue the jobs of workers that fell silent again; stages are idempotent, so running twice is safe."""
    while True:
        try:
            for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=stalled_s):
                await _run_again(app, job)
        except procrastinate.exceptions.ConnectorException:
            logger.warning("Jobs of silent workers could not be taken over; they are looked at again soon.")
        await asyncio.sleep(min(stalled_s / 2, 5.0))


async def _run_again(app: procrastinate.App, job: Job) -> None:
    logger.warning("A worker fell silent during %s; the job runs again.", job.task_name)
    try:
        await app.job_manager.retry_job(job)
    except procrastinate.exceptions.UniqueViolation:
        # It was asked for again meanwhile: the one in the queue does it, and waits only for this one to end.
        await app.job_manager.finish_job(job, Status.FAILED, delete_job=True)


async def _beat(health: Health) -> None:
    while True:
        health.beat()
        await asyncio.sleep(BEAT_PERIOD_S)


async def _sweep(context: Context, sweep: Callable[[Context], object]) -> None:
    while True:
        try:
            await asyncio.to_thread(sweep, context)
        except (psycopg.OperationalError, PoolTimeout):
            logger.warning("The ledger does not answer; open series are looked at again in %s s.", SWEEP_PERIOD_S)
        await asyncio.sleep(SWEEP_PERIOD_S)
