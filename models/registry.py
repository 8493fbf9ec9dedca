"""The models that are there: every folder of this package with a model.yaml."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol

from models.calibration import ModelCalibration, calibrate_card
from models.card import Card, read_card
from models.engines import Engine, EngineChoice, open_engine
from models.errors import InvalidCard
from models.prediction import Prediction
from models.volume import Volume

FOLDER = Path(__file__).parent


class Model(Protocol):
    """A model, loaded."""

    @property
    def card(self) -> Card: ...

    def predict(self, inputs: Mapping[str, Volume]) -> Prediction:
        """Analyse the images given by role.

        Raises:
            MissingInput: a role of the card is not there.
            InvalidVolume: an image can never be analysed.
            EngineFailure: another try may succeed.
        """


def list_models() -> list[Card]:
    """The cards of all models, by name."""
    return [load_card(path.parent.name) for path in sorted(FOLDER.glob("*/model.yaml"))]


@cache
def load_card(name: str) -> Card:
    """One card.

    Raises:
        InvalidCard: there is no such model, or its card is wrong.
    """
    path = FOLDER / name / "model.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.parent.name for p in FOLDER.glob("*/model.yaml")))
        raise InvalidCard(f"There is no model {name}; there are {known}.")
    return read_card(path)


def weights_of(card: Card) -> Path:
    """The file a model decides by."""
    return FOLDER / card.name / card.weights.file


def load_model(
    name: str,
    *,
    threads: int = 2,
    engine: EngineChoice = "auto",
    calibration: ModelCalibration | None = None,
    engine_cache: Path | None = None,
) -> Model:
    """A model with its weights checked and, if it is a network, its engine open.

    Args:
        engine, engine_cache: see `models.engines.open_engine`.
        calibration: the site's, in place of the card's own operating points.

    Raises:
        InvalidCard: card, weights or calibration are wrong; the sentence says what to do.
        MissingEngine: the engine asked for cannot be loaded here.
    """
    card = load_card(name)
    if calibration is not None:
        card = calibrate_card(card, calibration)
    weights = weights_of(card)
    if not weights.exists():
        raise InvalidCard(f"The weights of {name} are missing: {weights}.")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != card.weights.sha256:
        raise InvalidCard(f"{weights.name} is not the file its card describes (SHA-256 differs). Install {name} again.")
    decides: Engine | Path = weights
    if weights.suffix == ".onnx":
        decides = open_engine(
            weights, threads=threads, engine=engine, batch=card.batch, tolerance=card.tolerance, folder=engine_cache
        )
    model: Model = import_module(f"models.{name}.model").create(card, decides)
    return model
