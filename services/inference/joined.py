"""A Ray cluster that this machine joins: its applications are called by handle, volumes go through the object store."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from models.volume import Volume
from services.inference.deployment import OBJECT_STORE_BYTES, ModelServer
from services.inference.messages import Answer
from services.settings import InferenceSettings

JOIN_TIMEOUT_S = 60.0
WATCH_S = 1.0
POLL_S = 0.1
FRESH_S = 8.0
"""What was last seen of the cluster is true for so long."""
LOST_S = 45.0

logger = logging.getLogger(__name__)


class Joined(ModelServer):
    """The cluster at `inference.ray_address`; who runs it deploys the models.

    A call into a cluster whose head was lost may never return, and who was connected to it does not find its successor,
    even at the same address. So the cluster is watched by a thread that may hang, and this process ends when it does:
    whoever started it starts it again, and its jobs are taken up from the ledger.
    """

    def __init__(self, settings: InferenceSettings) -> None:
        super().__init__(settings)
        self._seen: tuple[float, frozenset[str]] = (float("-inf"), frozenset())
        self._closed = threading.Event()

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
        self._seen = time.monotonic(), frozenset()
        for work in (self._watch, self._guard):
            threading.Thread(target=work, name=f"ray-{work.__name__}", daemon=True).start()
        return True

    def close(self) -> None:
        self._closed.set()
        ray.shutdown()

    def running(self) -> frozenset[str]:
        """Applications that are served, as seen a moment ago; none when the cluster does not answer."""
        at, running = self._seen
        return running if time.monotonic() - at < FRESH_S else frozenset()

    def healthy(self) -> bool:
        """Whether every model is served."""
        return self.running() >= set(self._settings.models)

    def running_now(self) -> frozenset[str]:
        """The same, looked at after this was asked."""
        asked = time.monotonic()
        while self._seen[0] < asked and time.monotonic() - asked < FRESH_S:
            time.sleep(POLL_S)
        return self.running()

    def _watch(self) -> None:
        while not self._closed.wait(WATCH_S):
            looked = time.monotonic()
            self._seen = looked, running_applications()

    def _guard(self) -> None:
        while not self._closed.wait(WATCH_S):
            if time.monotonic() - self._seen[0] > LOST_S:
                logger.error("The Ray cluster has not answered for %g s; this part ends, to join it anew.", LOST_S)
                os._exit(1)

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
