"""The Serve configuration of a Ray cluster, from the models' cards and the settings; needs no Ray to be written."""

from typing import Any

from models.registry import load_card
from services.inference.calibrations import read_calibrations
from services.settings import InferenceSettings

PORT = 8000
HEALTH_CHECK_PERIOD_S = 3.0
HEALTH_CHECK_TIMEOUT_S = 5.0
GRACEFUL_SHUTDOWN_S = 30.0


def serve_config(settings: InferenceSettings) -> dict[str, Any]:
    """What `serve deploy` and a RayService's serveConfigV2 take: one application a model.

    Raises:
        SettingsError: a calibration cannot be used.
    """
    calibrations = read_calibrations(settings)
    applications = []
    for model in settings.models:
        arguments = model_arguments(model) | {
            "threads": settings.threads,
            "engine": settings.engine,
            "timeout_s": settings.timeout_s,
        }
        for name in ("engine_cache", "models_dir"):
            if (folder := getattr(settings, name)) is not None:
                arguments[name] = str(folder)
        if model in calibrations:
            arguments["calibration"] = calibrations[model].model_dump(mode="json", exclude_unset=True)
        applications.append(
            {
                "name": model,
                "route_prefix": None,
                "import_path": "services.inference.application:build",
                "args": arguments,
                "deployments": [_deployment(model, settings)],
            }
        )
    return {
        "proxy_location": "EveryNode",  # nothing has a route; what watches the cluster asks the proxies how they are
        "http_options": {"host": "0.0.0.0", "port": PORT},  # noqa: S104 - a pod's own address
        "logging_config": {"log_level": "WARNING", "enable_access_log": False},
        "applications": applications,
    }


def model_arguments(model: str) -> dict[str, Any]:
    """Name, version and weights of a model by its card; an image that holds another refuses to serve it."""
    card = load_card(model)
    return {"model": card.name, "version": card.version, "weights": card.weights.sha256}


def _deployment(model: str, settings: InferenceSettings) -> dict[str, Any]:
    size: dict[str, Any] = {"num_replicas": settings.replicas}
    if settings.maximum_replicas is not None:
        size = {
            "autoscaling_config": {
                "min_replicas": settings.replicas,
                "max_replicas": settings.maximum_replicas,
                "target_ongoing_requests": 1,
                "upscale_delay_s": 5,
            }
        }
    return {
        "name": model,
        **size,
        "max_ongoing_requests": 1,
        "health_check_period_s": HEALTH_CHECK_PERIOD_S,
        "health_check_timeout_s": HEALTH_CHECK_TIMEOUT_S,
        "graceful_shutdown_timeout_s": GRACEFUL_SHUTDOWN_S,
        "ray_actor_options": {"num_cpus": settings.threads},
    }
