"""The models that are there: every folder of this package with a model.yaml, and those a site added (`shelf`)."""

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Protocol

from models.calibration import ModelCalibration, calibrate_card
from models.card import Card, read_card
from models.engines import Engine, EngineChoice, open_engine
from models.errors import InvalidCard
from models.prediction import Prediction
from models.shelf import Shelf
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


_shelves: list[Shelf] = []
"""That of the models a site added, if there is one."""


def use_shelf(folder: Path | None) -> None:
    """Look for added models there as well, in this process; None: nowhere."""
    _shelves[:] = [] if folder is None else [Shelf(folder)]
    load_card.cache_clear()


def list_models() -> list[Card]:
    """The cards of all models in the version that serves, by name."""
    return [load_card(name) for name in _names()]


@cache
def load_card(name: str, version: str | None = None) -> Card:
    """One card.

    Args:
        version: None: the one that serves.

    Raises:
        InvalidCard: there is no such model, or its card is wrong.
    """
    return read_card(_folder(name, version) / "model.yaml")


def load_shipped(name: str) -> Card | None:
    """The card of a model that ships with Nightjar, whichever version serves."""
    path = FOLDER / name / "model.yaml"
    return read_card(path) if path.exists() else None


def weights_of(card: Card) -> Path:
    """The file a model decides by."""
    return _folder(card.name, card.version.partition("+")[0]) / card.weights.file


def _names() -> list[str]:
    shipped = {path.parent.name for path in FOLDER.glob("*/model.yaml")}
    return sorted(shipped.union(*(shelf.names() for shelf in _shelves)))


def _folder(name: str, version: str | None) -> Path:
    for shelf in _shelves:
        live = shelf.standing(name).live
        wanted = live if version is None else version
        if wanted is not None and (shelf.place(name, wanted) / "model.yaml").exists():
            return shelf.place(name, wanted)
        if wanted is not None and version is None:
            raise InvalidCard(f"{name} {wanted} is to serve, and is not in {shelf.folder}. Add it again, or roll back.")
    shipped = load_shipped(name)
    if shipped is None:
        raise InvalidCard(f"There is no model {name}; there are {', '.join(_names())}.")
    if version not in (None, shipped.version):
        known = [shipped.version, *(known for shelf in _shelves for known in shelf.versions(name))]
        raise InvalidCard(f"There is no {name} {version}; there are {', '.join(known)}.")
    return FOLDER / name


def load_model(
    name: str,
    *,
    threads: int = 2,
    engine: EngineChoice = "auto",
    calibration: ModelCalibration | None = None,
    engine_cache: Path | None = None,
    method: str | None = None,
    version: str | None = None,
    attend: Callable[[Callable[..., Engine], Card, Path], Engine] | None = None,
) -> Model:
    """A model with its weights checked and, if it is a network, its engine open.

    Args:
        engine, engine_cache: see `models.engines.open_engine`.
        attend: opens the engine by the function it is given, of a card and its weights; None: that is all it takes.
        calibration: the site's, in place of the card's own operating points.
        method: of those the card knows; None: the model's own.
        version: None: the one that serves.

    Raises:
        InvalidCard: card, method, weights or calibration are wrong; the sentence says what to do.
        MissingEngine: the engine asked for cannot be loaded here.
    """
    card = load_card(name, version)
    if method is not None:
        card = card.using(method)
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
        open_with = partial(open_engine, weights, threads=threads, terms=card.terms, folder=engine_cache)
        decides = open_with(engine=engine) if attend is None else attend(open_with, card, weights)
    code = "models.sliding.model" if card.sliding is not None else f"models.{name}.model"
    model: Model = import_module(code).create(card, decides)
    return model
