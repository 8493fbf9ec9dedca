"""Models that a Ray cluster serves for us: join it, wait for them, and never count a try while they are away."""

import logging
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
from services.errors import Interrupted, Retry
from services.inference.deployment import OBJECT_STORE_BYTES, Answer, ModelServer
from services.settings import InferenceSettings

POLL_S = 1.0
JOIN_POLL_S = 5.0
JOIN_TIMEOUT_S = 60.0

logger = logging.getLogger(__name__)


class ClusterModels(ModelServer):
    """Calls into the Serve applications at `inference.ray_address`; who runs the cluster deploys them.

    `nightjar model serve-config` prints what to deploy.

    Args:
        ending: set when this process is to end; no call waits for a model any longer then.
    """

    def __init__(self, settings: InferenceSettings, ending: threading.Event) -> None:
        super().__init__(settings)
        self._address, self._ending = str(settings.ray_address), ending

    def start(self) -> None:
        """Join the cluster, and return once every model is served there, however long that takes."""
        said = False
        while not _join(self._address):
            if not said:
                logger.warning("The Ray cluster at %s does not answer; it is tried again.", self._address)
                said = True
            time.sleep(JOIN_POLL_S)
        for model in self._settings.models:
            self._wait_for(model)
            self._handles[model] = serve.get_app_handle(model)

    def stop(self) -> None:
        ray.shutdown()

    def analyse(self, model: str, inputs: Mapping[str, Volume]) -> Answer:
        """Run one analysis; waits while the model is not served, for that is no fault of the study's.

        Raises:
            Interrupted: this process is to end.
        """
        while True:
            self._wait_for(model)
            try:
                return self.ask(model, inputs)
            except Retry:
                if self._served(model):
                    raise

    def ask(self, model: str, inputs: Mapping[str, Volume], priority: int | None = None) -> Answer:
        """Call one application, without waiting for it.

        Args:
            priority: see `ModelServer.ask`.

        Raises:
            Retry: it is not served, or failed.
        """
        if not self._served(model):
            raise Retry(f"{model} is not served.")
        if model not in self._handles:
            self._handles[model] = serve.get_app_handle(model)
        return super().ask(model, inputs, priority)

    def _served(self, model: str) -> bool:
        try:
            applications = serve.status().applications
        except (RayError, RayServeException):
            return False
        return model in applications and applications[model].status == "RUNNING"

    def _wait_for(self, model: str) -> None:
        said = False
        while not self._served(model):
            if not said:
                logger.warning("The model %s is not served; analyses wait for it.", model)
                said = True
            if self._ending.wait(POLL_S):
                raise Interrupted(f"The model {model} was not served, and this part was asked to end.")


def _join(address: str) -> bool:
    """Connect to the Ray of this machine, which joins the cluster first as a node that runs nothing.

    Never without one here: Ray would take the head's for its own, and end this process when it finds no socket.
    """
    if not _has_node():
        command = [
            str(Path(sys.executable).with_name("ray")), "start", f"--address={address}", "--num-cpus=0", "--num-gpus=0",
            f"--object-store-memory={OBJECT_STORE_BYTES}", "--disable-usage-stats",
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


def _has_node() -> bool:
    """Whether a node of Ray's runs among the processes seen here; a container sees its own."""
    for process in Path("/proc").glob("[0-9]*/comm"):
        try:
            if process.read_text().strip() == "raylet":
                return True
        except OSError:  # it ended meanwhile
            continue
    return False
