"""The Serve configuration of a Ray cluster, from the models' cards and the settings; needs no Ray to be written."""

from typing import Any

from models.calibration import ModelCalibration
from models.card import Card
from models.engines import EngineChoice
from models.registry import load_card
from services.inference.calibrations import read_calibrations
from services.inference.planned import plans
from services.settings import InferenceSettings

PORT = 8000
HEALTH_CHECK_PERIOD_S = 1.5
HEALTH_CHECK_TIMEOUT_S = 2.5
"""Serve replaces a replica after three checks that failed: one that hangs is out within ten seconds."""
ONGOING = 2
"""Requests a replica takes at once: a more urgent one overtakes, its like waits with its images ready."""

QUEUE = 8
"""Analyses that may wait for one replica, its own included: as many as the inference part has places.

To stand in that line is no failed try. What hangs once it runs ends with its replica, by the health check.
"""
GATE = "nightjar-gate"
ROUTE = "/nightjar"
GATE_ONGOING = 32
VERDICT, REJECTED, FAILED = "x-nightjar-verdict", "reject", "retry"
"""What the gate says of a request that failed, beside the sentence in the body."""


def serve_config(settings: InferenceSettings) -> dict[str, Any]:
    """What `serve deploy` and a RayService's serveConfigV2 take: one application a model.

    Raises:
        SettingsError: a calibration cannot be used.
    """
    calibrations = read_calibrations(settings)
    applications = [
        _application(settings, model, load_card(model), _replicas(settings), calibrations.get(model))
        for model in settings.models
    ]
    applications += [
        _application(settings, plan.application, plan.card, {"num_replicas": 1}, None)
        for plan in plans(settings).values()
    ]
    if settings.serve_url is not None:
        applications.append(_gate([application["name"] for application in applications]))
    return {
        "proxy_location": "EveryNode",  # also where nothing has a route: what watches the cluster asks how they are
        "http_options": {"host": "0.0.0.0", "port": PORT},  # noqa: S104 - a pod's own address
        "logging_config": {"log_level": "WARNING", "enable_access_log": False},
        "applications": applications,
    }


def model_arguments(model: str, version: str | None = None) -> dict[str, Any]:
    """Name, version and weights of a model by its card; an image that holds another refuses to serve it."""
    card = load_card(model, version)
    return {"model": card.name, "version": card.version, "weights": card.weights.sha256}


def engine_of(settings: InferenceSettings, model: str) -> EngineChoice:
    """What runs a model's network."""
    return settings.gpu_engine if model in settings.gpus else settings.engine


def actor_options(settings: InferenceSettings, model: str) -> dict[str, float]:
    """What a replica of a model asks Ray for: CPU threads, and its share of a GPU."""
    share = {"num_gpus": settings.gpus[model]} if model in settings.gpus else {}
    return {"num_cpus": settings.threads, **share}


def deployment_options(settings: InferenceSettings, model: str) -> dict[str, Any]:
    """What Serve is told of a model's deployments, whoever deploys them."""
    return {
        "max_ongoing_requests": ONGOING,
        "health_check_period_s": HEALTH_CHECK_PERIOD_S,
        "health_check_timeout_s": HEALTH_CHECK_TIMEOUT_S,
        # An analysis that has begun ends, whatever takes its replica away.
        "graceful_shutdown_timeout_s": settings.timeout_s,
        "ray_actor_options": actor_options(settings, model),
    }


def _application(
    settings: InferenceSettings, name: str, card: Card, size: dict[str, Any], calibration: ModelCalibration | None
) -> dict[str, Any]:
    arguments = model_arguments(card.name, card.version) | {
        "threads": settings.threads,
        "engine": engine_of(settings, card.name),
        "timeout_s": settings.timeout_s,
    }
    if name != card.name:
        arguments["application"] = name
    if not settings.cpu_when_gpu_full:
        arguments["cpu_when_gpu_full"] = False
    for folder in ("engine_cache", "models_dir"):
        if (path := getattr(settings, folder)) is not None:
            arguments[folder] = str(path)
    if calibration is not None:
        arguments["calibration"] = calibration.model_dump(mode="json", exclude_unset=True)
    return {
        "name": name,
        "route_prefix": None,
        "import_path": "services.inference.application:build",
        "args": arguments,
        "deployments": [{"name": name, **size, **deployment_options(settings, card.name)}],
    }


def _gate(applications: list[str]) -> dict[str, Any]:
    return {
        "name": GATE,
        "route_prefix": ROUTE,
        "import_path": "services.inference.gate:build",
        "args": {"applications": applications},
        "deployments": [
            {
                "name": GATE,
                "num_replicas": 1,
                "max_ongoing_requests": GATE_ONGOING,
                "ray_actor_options": {"num_cpus": 0},
            }
        ],
    }


def _replicas(settings: InferenceSettings) -> dict[str, Any]:
    if settings.maximum_replicas is None:
        return {"num_replicas": settings.replicas}
    return {
        "autoscaling_config": {
            "min_replicas": settings.replicas,
            "max_replicas": settings.maximum_replicas,
            "target_ongoing_requests": 1,
            "upscale_delay_s": 5,
        }
    }
