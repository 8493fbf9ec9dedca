"""A Ray cluster that this machine joins: its applications are called by handle, volumes go through the object store."""

import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from models.volume import Volume
from services.inference.deployment import OBJECT_STORE_BYTES, ModelServer
from services.inference.messages import Answer

JOIN_TIMEOUT_S = 60.0


class Joined(ModelServer):
    """The cluster at `inference.ray_address`; who runs it deploys the models."""

    def open(self) -> bool:
        """Connect to the Ray of this machine, which joins the cluster first as a node that runs nothing.

        Never without one here: Ray would take the head's for its own, and end this process when it finds no socket.
        """
        address = str(self._settings.ray_address)
        if not _has_node():
            command = [
                str(Path(sys.executable).with_name("ray")), "start", f"--address={address}", "--num-cpus=0",
                "--num-gpus=0", f"--object-store-memory={OBJECT_STORE_BYTES}", "--disable-usage-stats",
            ]  # fmt: skip
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=JOIN_TIMEOUT_S)
            except subprocess.SubprocessError:
                return False
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError):
            ray.shutdown()
            return False
        return True

    def close(self) -> None:
        ray.shutdown()

    def running(self) -> frozenset[str]:
        """Applications that are served; none when the cluster does not answer."""
        return running_applications()

    def ask(self, model: str, inputs: Mapping[str, Volume], priority: int | None = None) -> Answer:
        """See `ModelServer.ask`."""
        if model not in self._handles:
            self._handles[model] = serve.get_app_handle(model)
        return super().ask(model, inputs, priority)


def running_applications() -> frozenset[str]:
    """The Serve applications that run in the cluster this process is part of; none when it does not answer."""
    try:
        applications = serve.status().applications
    except (RayError, RayServeException):
        return frozenset()
    return frozenset(name for name, state in applications.items() if state.status == "RUNNING")


def _has_node() -> bool:
    """Whether a node of Ray's runs among the processes seen here; a container sees its own."""
    for process in Path("/proc").glob("[0-9]*/comm"):
        try:
            if process.read_text().strip() == "raylet":
                return True
        except OSError:  # it ended meanwhile
            continue
    return False
