"""The inference part: serves the models and runs the infer jobs."""

import asyncio
from typing import Any

from services import worker
from services.context import Context
from services.inference.deployment import ModelServer
from services.inference.infer import Infer
from services.operations.heartbeat import Heartbeat
from services.operations.probes import Health


def run(context: Context, health: Health) -> None:
    """Deploy the models, then work until SIGTERM or SIGINT."""
    server = ModelServer(context.settings.inference)
    server.start()

    health.why_not_ready = lambda: None if server.healthy() else "A model has no running replica."

    def detail() -> dict[str, Any]:
        return {"models": list(context.settings.inference.models), "healthy": server.healthy()}

    try:
        with Heartbeat(context.pool, "inference", detail):
            stage = Infer(server).stage(context.settings.worker.inference_attempts)
            asyncio.run(worker.work(context, [stage], health=health))
    finally:
        server.stop()
