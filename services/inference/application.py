"""What a Ray cluster imports to serve a model: `import_path: services.inference.application:build`."""

from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application

from models.calibration import ModelCalibration, calibrate_card
from models.card import Digest
from models.engines import EngineChoice
from models.errors import InvalidCard
from models.registry import load_card, use_shelf
from services.errors import SettingsError
from services.inference.deployment import Replica
from services.inference.serve_config import ONGOING


class BuildArguments(BaseModel):
    """The `args` of one application, as `nightjar model serve-config` writes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    application: str | None = None
    version: str
    weights: Digest
    threads: int
    engine: EngineChoice
    timeout_s: float
    calibration: ModelCalibration | None = None
    engine_cache: Path | None = None
    models_dir: Path | None = None
    cpu_when_gpu_full: bool = True


def build(arguments: BuildArguments) -> Application:
    """The Serve application of one model.

    Raises:
        SettingsError: this image holds another version or other weights than the configuration was written for.
    """
    use_shelf(arguments.models_dir)
    card = load_card(arguments.model)
    if card.version != arguments.version:
        with suppress(InvalidCard):  # one that does not serve: a shadow, or the version before a promotion
            card = load_card(arguments.model, arguments.version)
    if (card.version, card.weights.sha256) != (arguments.version, arguments.weights):
        raise SettingsError(
            f"The configuration wants {arguments.model} {arguments.version}, weights {arguments.weights[:12]}; here is "
            f"{card.version} with {card.weights.sha256[:12]}. Write it anew: nightjar model serve-config."
        )
    if arguments.calibration is not None:
        calibrate_card(card, arguments.calibration)
    deployment = serve.deployment(name=arguments.application or arguments.model, max_ongoing_requests=ONGOING)(Replica)
    return deployment.bind(
        arguments.model,
        arguments.threads,
        arguments.engine,
        arguments.timeout_s,
        arguments.calibration,
        arguments.engine_cache,
        arguments.models_dir,
        arguments.version,
        arguments.cpu_when_gpu_full,
    )
