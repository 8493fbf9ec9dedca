"""The parts of the service as processes: what each runs, and what it needs before it can.

`nightjar serve` starts all of them on one machine; a cluster starts each in its own pods.
"""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from dicom_router import assemble, listener, route
from dicom_router.follow import following
from models.calibration import calibrate_card
from models.registry import list_models, use_shelf
from services import worker
from services.context import Context
from services.delivery import deliver
from services.errors import SettingsError
from services.inference.calibrations import read_calibrations
from services.ledger import served_models
from services.ledger.database import migrate, open_pool
from services.ledger.jobs import Stage
from services.notifications import notify
from services.operations.audit_sending import sending_audit
from services.operations.correlation import log_to_stderr, tracing
from services.operations.ending import AskedToEnd
from services.operations.heartbeat import Heartbeat
from services.operations.instruments import REGISTRY
from services.operations.metrics import LedgerCollector
from services.operations.probes import Health, serve_probes
from services.results import encode
from services.review import arriving, correct, selection
from services.settings import Settings
from services.storage import open_store

Part = Literal["router", "worker", "inference", "web", "metrics"]
EVERY_PART: tuple[Part, ...] = get_args(Part)
PARTS: tuple[Part, ...] = tuple(part for part in EVERY_PART if part != "metrics")
"""Those that work on studies; metrics only watches them."""

POOL_SIZES: dict[Part, int] = {"router": 16, "worker": 8, "inference": 8, "web": 8, "metrics": 2}
PR_SET_PDEATHSIG = 1
SUPERVISED = "NIGHTJAR_SUPERVISED"
"""Set for the parts that embedded mode starts: they must not outlive it."""


def run_part(part: Part, settings: Settings) -> None:
    """Run one part until SIGTERM or SIGINT."""
    signal.signal(signal.SIGTERM, _exit)
    log_to_stderr(settings.logging.format)
    health = Health()
    with (
        tracing(settings, part),
        serve_probes(settings.metrics, health, REGISTRY),
        open_context(settings, pool_size=POOL_SIZES[part]) as context,
    ):
        _RUN[part](context, health)


@contextmanager
def open_context(settings: Settings, *, pool_size: int = 4) -> Iterator[Context]:
    """The dependencies of a part, opened and closed; brings an empty ledger its schema."""
    use_shelf(settings.inference.models_dir)
    migrate(settings.database_url)
    pool = open_pool(settings.database_url, size=pool_size)
    try:
        yield Context(settings, pool, open_store(settings))
    finally:
        pool.close()


def stages(settings: Settings) -> tuple[Stage, ...]:
    """Every stage but infer, which lives where the models are served."""
    return (
        assemble.STAGE,
        route.STAGE,
        encode.STAGE,
        deliver.stage(settings),
        notify.stage(settings),
        selection.STAGE,
        correct.STAGE,
        arriving.STAGE,
    )


def register_models(context: Context) -> None:
    """Tell the ledger which models this installation serves, from their cards."""
    cards = {card.name: card for card in list_models()}
    unknown = [name for name in context.settings.inference.models if name not in cards]
    if unknown:
        raise SettingsError(
            f"inference.models = {', '.join(unknown)}: no such model; there are {', '.join(sorted(cards))}."
        )
    calibrations = read_calibrations(context.settings.inference)
    served = [
        calibrate_card(cards[name], calibrations[name]) if name in calibrations else cards[name]
        for name in context.settings.inference.models
    ]
    served_models.register_models(
        context.pool,
        [
            served_models.ServedModel(
                name=card.name,
                version=card.version,
                weights_digest=card.weights.sha256,
                roles=tuple(entry.role for entry in card.inputs if not entry.optional),
                optional_roles=tuple(entry.role for entry in card.inputs if entry.optional),
                priority=card.priority,
                fewest=card.fewest,
            )
            for card in served
        ],
    )


def die_with_parent() -> None:
    """Ask Linux for SIGTERM when the process that started this one dies, however it dies (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        raise SystemExit(0)


def _exit(number: int, frame: object) -> None:  # noqa: ARG001
    raise SystemExit(0)


def _run_router(context: Context, health: Health) -> None:
    with Heartbeat(context.pool, "router"), following(context):
        listener.run(context, health)


def _run_worker(context: Context, health: Health) -> None:
    register_models(context)
    health.why_not_ready = lambda: None
    with Heartbeat(context.pool, "worker"), sending_audit(context):
        asyncio.run(worker.work(context, stages(context.settings), sweep=assemble.sweep, health=health))


def _run_inference(context: Context, health: Health) -> None:
    if context.settings.inference.ray_address is None:
        # Ray turns 127.0.0.1 into the machine's address, and its processes listen on every one, unless it is told as on
        # other systems that there is no cluster; it reads this when it is imported.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    from services.inference import part  # Ray takes seconds to import, and only this part needs it.

    part.run(context, health)


def _run_web(context: Context, health: Health) -> None:
    from services import web

    health.why_not_ready = lambda: None  # for the pages themselves their own /readyz answers
    with Heartbeat(context.pool, "web"):
        web.run(context)


def _run_metrics(context: Context, health: Health) -> None:
    REGISTRY.register(LedgerCollector(context, PARTS))
    health.why_not_ready = lambda: None
    AskedToEnd().wait()


_RUN: dict[Part, Callable[[Context, Health], None]] = {
    "router": _run_router,
    "worker": _run_worker,
    "inference": _run_inference,
    "web": _run_web,
    "metrics": _run_metrics,
}
