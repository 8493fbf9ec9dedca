"""Ray Serve around the models: one deployment a model version, one replica a network in memory."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray's own 15 starves replicas on a machine that does anything else; at 5, receiving still goes before them.
os.environ.setdefault("RAY_worker_niceness", "5")

import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentResponse

from models.calibration import ModelCalibration
from models.card import Card
from models.engines import GPU_ENGINES, Engine, EngineChoice, turns
from models.engines.steady import SteadyEngine, smallest_tile
from models.errors import EngineFailure, ModelError, OutOfMemory
from models.preview import render_preview
from models.registry import load_card, load_model, use_shelf
from models.volume import Volume
from services.errors import Reject, Retry
from services.inference.calibrations import read_calibrations
from services.inference.messages import Answer
from services.inference.planned import plans
from services.inference.serve_config import QUEUE, deployment_options, engine_of
from services.settings import InferenceSettings

OBJECT_STORE_BYTES = 512 * 2**20
URGENT = 40
"""Priority of a bleed: from here on a model's process gives way to no other model's."""
POINTS, NICEST = 2, 10
"""So many of priority below are one more niceness, at most so much: a ninth of the processor beside a bleed."""
PATIENCE = 0.25
"""Share of the time an analysis may take that it spends making way for others, at most."""
RECYCLE_S = 0.5
END_S = 5.0
"""A Ray of our own ends with this process, and nobody is left who waits for what its replicas are at."""


class Replica:
    """One model in memory. Requests run in threads so that the health check keeps answering."""

    def __init__(
        self,
        model: str,
        threads: int,
        engine: EngineChoice,
        timeout_s: float,
        calibration: ModelCalibration | None = None,
        engine_cache: Path | None = None,
        models_dir: Path | None = None,
        version: str | None = None,
        cpu_when_gpu_full: bool = True,
    ) -> None:
        use_shelf(models_dir)
        on_gpu = engine in GPU_ENGINES
        give_way(load_card(model, version).priority)
        self._engine: SteadyEngine | None = None

        def attend(open_with: Callable[..., Engine], card: Card, weights: Path) -> Engine:
            spare: EngineChoice | None = "auto" if on_gpu and cpu_when_gpu_full else None
            self._engine = SteadyEngine(open_with, engine, smallest_tile(card, weights), spare=spare)
            return self._engine

        self._model = load_model(
            model, threads=threads, engine=engine, calibration=calibration, engine_cache=engine_cache, version=version,
            attend=attend,
        )  # fmt: skip
        device = turns.gpu if on_gpu else turns.processor
        self._turns, self._needs = device(PATIENCE * timeout_s), 1 if on_gpu else threads
        self._timeout_s = timeout_s
        self._running: dict[int, float] = {}
        self._standing: list[turns.Turn] = []
        self._probing: asyncio.Future[None] | None = None

    async def analyse(self, inputs: Mapping[str, Volume], priority: int | None = None) -> Answer:
        """Answer one request; where the machine is crowded, after those of a higher priority.

        Args:
            priority: None: the card's.
        """
        ticket = id(inputs)
        self._running[ticket] = time.monotonic()
        priority = self._model.card.priority if priority is None else priority
        try:
            return await asyncio.to_thread(self._analyse, inputs, priority)
        except OutOfMemory:
            # What it holds is given back for certain with the process; Serve starts another.
            asyncio.get_running_loop().call_later(RECYCLE_S, os._exit, 1)
            raise
        finally:
            del self._running[ticket]

    def _analyse(self, inputs: Mapping[str, Volume], priority: int) -> Answer:
        try:
            with self._turns.take(priority, self._needs) as turn:
                self._standing.append(turn)
                try:
                    prediction = self._model.predict(inputs)
                finally:
                    self._standing.remove(turn)
        except MemoryError as error:
            raise OutOfMemory(f"The machine has not enough memory for this study ({self._model.card.name}).") from error
        entry = self._model.card.reference_of(inputs)
        reference = inputs[entry.role]
        if prediction.image is not None:
            reference = replace(reference, voxels=prediction.image)
        key_slice = prediction.findings[0].key_slice if prediction.findings else reference.voxels.shape[0] // 2
        picture = render_preview(reference, prediction.segmentation, key_slice, modality=entry.modality)
        return Answer(replace(prediction, parameters=prediction.parameters | self._remarks()), picture)

    def _remarks(self) -> dict[str, float | str]:
        """What else shaped an answer: this code, and want of memory."""
        remark = None if self._engine is None else self._engine.remark
        said: dict[str, float | str] = {"Nightjar": version_of("nightjar")}
        return said if remark is None else said | {"memory": remark}

    async def check_health(self) -> None:
        """Unhealthy when a request or a call of the network takes far too long, or an idle network does not answer.

        Serve replaces the replica then.
        """
        now = time.monotonic()
        if any(now - started > self._timeout_s for started in self._running.values()):
            raise RuntimeError("A request has been running for longer than inference.timeout_s; this replica hangs.")
        if self._engine is None:
            return
        # One that more urgent ones leave little of the processor takes long and does not hang.
        if self._engine.hangs() and not any(turn.crowded() for turn in self._standing):
            raise RuntimeError("A call of the network takes far longer than usual; this replica hangs.")
        if not self._running:
            probe = self._probing
            if probe is None or probe.done():
                self._probing = asyncio.ensure_future(asyncio.to_thread(self._engine.probe))
            if probe is not None and probe.done():
                probe.result()


def give_way(priority: int) -> None:
    """Let replicas of more urgent models have the processor before this one, inside a tile too.

    Between tiles a request stands aside (`turns`); what it is at when a bleed comes, it goes on with at a low priority.
    """
    with suppress(RayServeException):  # nobody's replica: a process that has other work as well
        serve.get_replica_context()
        os.nice(min(NICEST, max(0, (URGENT - priority) // POINTS)))


class ModelServer:
    """The Serve applications of this installation, and calls into them."""

    def __init__(self, settings: InferenceSettings) -> None:
        self._settings = settings
        self._handles: dict[str, Any] = {}

    def start(self) -> None:
        """Start Ray and deploy every model; returns once all replicas answered their health check.

        Raises:
            SettingsError: a calibration cannot be used.
        """
        calibrations = read_calibrations(self._settings)
        shadows = plans(self._settings)
        served = len(self._settings.models) * self._settings.replicas + len(shadows)
        local: dict[str, Any] = {
            "num_cpus": max(self._settings.threads * served, os.cpu_count() or 1) + 1,
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
        }
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **local)
        serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING", "enable_access_log": False})
        for model in self._settings.models:
            self._deploy(model, load_card(model), self._settings.replicas, calibrations.get(model))
        for plan in shadows.values():
            self._deploy(plan.application, plan.card, 1, None)

    def _deploy(self, application: str, card: Card, replicas: int, calibration: ModelCalibration | None) -> None:
        settings = self._settings
        options = deployment_options(settings, card.name) | {"graceful_shutdown_timeout_s": END_S}
        deployment = serve.deployment(name=application, num_replicas=replicas, **options)(Replica)
        bound = deployment.bind(
            card.name,
            settings.threads,
            engine_of(settings, card.name),
            settings.timeout_s,
            calibration,
            None if settings.engine_cache is None else settings.engine_cache.resolve(),
            None if settings.models_dir is None else settings.models_dir.resolve(),
            # Not what may be promoted meanwhile: the ledger knows the version that was live at the start.
            card.version,
            settings.cpu_when_gpu_full,
        )
        self._handles[application] = serve.run(bound, name=application, route_prefix=None)

    def stop(self) -> None:
        serve.shutdown()
        ray.shutdown()

    def healthy(self) -> bool:
        """Whether every model has a running replica."""
        try:
            applications = serve.status().applications
        except (RayError, RayServeException):
            return False
        return all(name in applications and applications[name].status == "RUNNING" for name in self._settings.models)

    def analyse(self, model: str, inputs: Mapping[str, Volume]) -> Answer:
        """Run one analysis; see `ask`."""
        return self.ask(model, inputs)

    def ask(self, model: str, inputs: Mapping[str, Volume], priority: int | None = None) -> Answer:
        """Call one application.

        Args:
            priority: larger goes first where the machine is crowded; None: the card's.

        Raises:
            Reject: the input can never be analysed by this model.
            Retry: the replica died, hung or refused; another may answer.
        """
        with verdicts(model):
            return self._wait(model, self._handles[model].analyse.remote(dict(inputs), priority))

    def _wait(self, model: str, response: DeploymentResponse[Answer]) -> Answer:
        """The answer, also to one that others are before.

        Raises:
            Retry: it has not come in QUEUE times the time an analysis may take, or Serve is not well; it is taken back.
        """
        for waits in range(1, QUEUE + 1):
            try:
                return response.result(timeout_s=self._settings.timeout_s)
            except TimeoutError as error:
                if waits == QUEUE or not self.healthy():
                    response.cancel()
                    waited_s = waits * self._settings.timeout_s
                    raise Retry(f"The model {model} did not answer within {waited_s:g} s.") from error
        raise AssertionError("QUEUE is at least 1")


@contextmanager
def verdicts(application: str) -> Iterator[None]:
    """What goes wrong in a call of an application, as a verdict.

    Raises:
        Reject: the input can never be analysed by this model.
        Retry: the replica died, hung or refused; another may answer.
    """
    try:
        yield
    except EngineFailure as error:
        raise Retry(_sentence(error)) from error
    except ModelError as error:
        raise Reject(_sentence(error)) from error
    except (RayError, RayServeException) as error:
        raise Retry(f"The replica of {application} failed ({type(error).__name__}).") from error


def _sentence(error: ModelError) -> str:
    """What the model said; an exception that crossed Ray reads as the replica's whole traceback otherwise."""
    return str(error.cause) if isinstance(error, RayTaskError) else str(error)
