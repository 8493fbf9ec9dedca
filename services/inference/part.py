"""The inference part: serves the models, or calls those a Ray cluster serves, and runs the infer jobs."""

import asyncio
from typing import Any

from services import worker
from services.context import Context
from services.inference.cluster import ClusterModels
from services.inference.deployment import ModelServer
from services.inference.infer import Infer
from services.inference.planned import plans
from services.inference.shadow import Shadowing
from services.ledger.jobs import URGENT_QUEUE, age_analyses
from services.ledger.served_models import register_canaries
from services.operations.heartbeat import Heartbeat
from services.operations.probes import Health

LANES = ((URGENT_QUEUE,), ("inference", "shadow"))
"""A bleed never waits until a worker has done with an enhancement."""


def run(context: Context, health: Health) -> None:
    """Deploy the models or find them in the cluster, then work until SIGTERM or SIGINT."""
    settings = context.settings.inference
    planned = plans(settings)
    ours = settings.ray_address is None and settings.serve_url is None
    server = ModelServer(settings) if ours else ClusterModels(settings, health.ending)
    server.start()
    with context.pool.connection() as connection:
        # Only now, for from here on studies are routed to them.
        shown = {model: plan.shown for model, plan in planned.items()}
        register_canaries(connection, {model: canary for model, canary in shown.items() if canary is not None})

    health.why_not_ready = lambda: None if server.healthy() else "A model has no running replica."

    def detail() -> dict[str, Any]:
        return {"models": list(context.settings.inference.models), "healthy": server.healthy()}

    try:
        with Heartbeat(context.pool, "inference", detail):
            infer = Infer(server, planned).stage(context.settings.worker.inference_attempts)
            shadow = Shadowing(server, planned).stage()
            asyncio.run(worker.work(context, [infer, shadow], lanes=LANES, sweep=_age, health=health))
    finally:
        server.stop()


def _age(context: Context) -> None:
    with context.pool.connection() as connection:
        age_analyses(connection)
