"""Ray Serve around the models: one deployment a model version, one replica a network in memory."""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException

from models.calibration import ModelCalibration
from models.card import Card
from models.engines import EngineChoice
from models.errors import EngineFailure, ModelError
from models.prediction import Prediction
from models.preview import render_preview
from models.registry import load_card, load_model, use_shelf
from models.volume import Volume
from services.errors import Reject, Retry
from services.inference.calibrations import read_calibrations
from services.inference.planned import plans
from services.inference.serve_config import HEALTH_CHECK_PERIOD_S, HEALTH_CHECK_TIMEOUT_S
from services.settings import InferenceSettings

OBJECT_STORE_BYTES = 512 * 2**20


@dataclass(frozen=True, eq=False)
class Answer:
    """What a replica sends back: the prediction and its worklist picture (PNG)."""

    prediction: Prediction
    preview: bytes


class Replica:
    """One model in memory. Requests run in a thread so that the health check keeps answering."""

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
    ) -> None:
        use_shelf(models_dir)
        self._model = load_model(
            model, threads=threads, engine=engine, calibration=calibration, engine_cache=engine_cache, version=version
        )
        self._timeout_s = timeout_s
        self._running: dict[int, float] = {}

    async def analyse(self, inputs: Mapping[str, Volume]) -> Answer:
        ticket = id(inputs)
        self._running[ticket] = time.monotonic()
        try:
            return await asyncio.to_thread(self._analyse, inputs)
        finally:
            del self._running[ticket]

    def _analyse(self, inputs: Mapping[str, Volume]) -> Answer:
        prediction = self._model.predict(inputs)
        entry = self._model.card.reference
        reference = inputs[entry.role]
        if prediction.image is not None:
            reference = replace(reference, voxels=prediction.image)
        key_slice = prediction.findings[0].key_slice if prediction.findings else reference.voxels.shape[0] // 2
        picture = render_preview(reference, prediction.segmentation, key_slice, modality=entry.modality)
        return Answer(prediction, picture)

    def check_health(self) -> None:
        """Unhealthy when a request runs for longer than any analysis may; Serve then replaces the replica."""
        now = time.monotonic()
        if any(now - started > self._timeout_s for started in self._running.values()):
            raise RuntimeError("A request has been running for longer than inference.timeout_s; this replica hangs.")


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
        deployment = serve.deployment(
            name=application,
            num_replicas=replicas,
            max_ongoing_requests=1,
            health_check_period_s=HEALTH_CHECK_PERIOD_S,
            health_check_timeout_s=HEALTH_CHECK_TIMEOUT_S,
            ray_actor_options={"num_cpus": settings.threads},
        )(Replica)
        bound = deployment.bind(
            card.name,
            settings.threads,
            settings.engine,
            settings.timeout_s,
            calibration,
            None if settings.engine_cache is None else settings.engine_cache.resolve(),
            None if settings.models_dir is None else settings.models_dir.resolve(),
            # Not what may be promoted meanwhile: the ledger knows the version that was live at the start.
            card.version,
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

    def ask(self, model: str, inputs: Mapping[str, Volume]) -> Answer:
        """Call one application.

        Raises:
            Reject: the input can never be analysed by this model.
            Retry: the replica died, hung or refused; another may answer.
        """
        try:
            response = self._handles[model].analyse.remote(dict(inputs))
            answer: Answer = response.result(timeout_s=self._settings.timeout_s)
        except EngineFailure as error:
            raise Retry(_sentence(error)) from error
        except ModelError as error:
            raise Reject(_sentence(error)) from error
        except TimeoutError as error:
            raise Retry(f"The model {model} did not answer within {self._settings.timeout_s:g} s.") from error
        except (RayError, RayServeException) as error:
            raise Retry(f"The replica of {model} failed ({type(error).__name__}).") from error
        return answer


def _sentence(error: ModelError) -> str:
    """What the model said; an exception that crossed Ray reads as the replica's whole traceback otherwise."""
    return str(error.cause) if isinstance(error, RayTaskError) else str(error)
