"""Models that a Ray cluster serves for us: reach it, wait for them, and never count a try while they are away."""

import logging
import threading
import time
from collections.abc import Mapping, Set
from typing import Protocol

from models.volume import Volume
from services.errors import Interrupted, Retry
from services.inference.joined import Joined
from services.inference.messages import Answer
from services.inference.outside import Outside
from services.settings import InferenceSettings

POLL_S = 1.0
JOIN_POLL_S = 5.0

logger = logging.getLogger(__name__)


class Way(Protocol):
    """How this process reaches the applications of a Ray cluster."""

    def open(self) -> bool:
        """Whether the cluster answers."""

    def close(self) -> None: ...

    def running(self) -> Set[str]:
        """Applications that are served, as seen a moment ago; none when the cluster does not answer."""

    def running_now(self) -> Set[str]:
        """The same, looked at after this was asked."""

    def ask(self, model: str, inputs: Mapping[str, Volume], priority: int | None = None) -> Answer:
        """See `ModelServer.ask`."""


class ClusterModels:
    """Calls into the Serve applications of a cluster, joined or from outside; who runs it deploys them.

    `nightjar model serve-config` prints what to deploy.

    Args:
        ending: set when this process is to end; no call waits for a model any longer then.
    """

    def __init__(self, settings: InferenceSettings, ending: threading.Event) -> None:
        self._settings, self._ending = settings, ending
        self._way: Way = Joined(settings) if settings.serve_url is None else Outside(settings)

    def start(self) -> None:
        """Reach the cluster, and return once every model is served there, however long that takes.

        Raises:
            SettingsError: the cluster does not take our token.
        """
        said = False
        while not self._way.open():
            if not said:
                where = self._settings.serve_url or self._settings.ray_address
                logger.warning("The Ray cluster at %s does not answer; it is tried again.", where)
                said = True
            time.sleep(JOIN_POLL_S)
        for model in self._settings.models:
            self._wait_for(model)

    def stop(self) -> None:
        self._way.close()

    def healthy(self) -> bool:
        """Whether every model is served."""
        return self._way.running() >= set(self._settings.models)

    def analyse(self, model: str, inputs: Mapping[str, Volume]) -> Answer:
        """Run one analysis; waits while the model is not served, for that is no fault of the study's.

        Raises:
            Interrupted: this process is to end.
        """
        while True:
            self._wait_for(model)
            try:
                return self._way.ask(model, inputs)
            except Retry:
                if model in self._way.running_now():
                    raise

    def ask(self, model: str, inputs: Mapping[str, Volume], priority: int | None = None) -> Answer:
        """Call one application, without waiting for it.

        Args:
            priority: see `ModelServer.ask`.

        Raises:
            Retry: it is not served, or failed.
        """
        if model not in self._way.running():
            raise Retry(f"{model} is not served.")
        return self._way.ask(model, inputs, priority)

    def _wait_for(self, model: str) -> None:
        said = False
        while model not in self._way.running():
            if not said:
                logger.warning("The model %s is not served; analyses wait for it.", model)
                said = True
            if self._ending.wait(POLL_S):
                raise Interrupted(f"The model {model} was not served, and this part was asked to end.")
