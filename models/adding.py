"""Take a model that a site brings onto the shelf: its card and network are held against each other first."""

import hashlib
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np

from models.card import Card, read_card
from models.engines import open_engine
from models.engines.onnx_runtime import tensor_shapes
from models.engines.plans import Shapes
from models.errors import EngineFailure, InvalidCard, UnwritableOutput
from models.registry import load_shipped
from models.shelf import Shelf, Standing
from models.sliding.model import INPUT, OUTPUT

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,39}")


def add_model(source: Path, shelf: Shelf) -> Card:
    """Check a folder with model.yaml and weights, and copy both. Nothing in it is executed but the network.

    The first version of a model that does not ship with Nightjar is live at once, every other once it is promoted.

    Raises:
        InvalidCard: card and network do not go together, or this version is there already with another content.
        UnwritableOutput: the shelf cannot be written.
    """
    card = check_model(source)
    place = shelf.place(card.name, card.version)
    if place.exists():
        if read_card(place / "model.yaml") == card:
            return card
        raise InvalidCard(f"{card.name} {card.version} is there already and differs. Give this one another version.")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, suffix=".part") as scratch:
            copy = Path(scratch) / "copy"
            target = copy / card.weights.file
            target.parent.mkdir(parents=True)
            shutil.copyfile(source / "model.yaml", copy / "model.yaml")
            shutil.copyfile(source / card.weights.file, target)
            copy.rename(place)
    except OSError as error:
        raise UnwritableOutput(
            f"{place.parent} cannot be written: {error.strerror}. See inference.models_dir."
        ) from error
    if load_shipped(card.name) is None and len(shelf.versions(card.name)) == 1:
        shelf.stand(card.name, Standing(live=card.version))
    return card


def check_model(source: Path) -> Card:
    """The card of a folder whose weights are what it says, and whose network fits it.

    Raises:
        InvalidCard: a sentence that says what does not.
    """
    card = read_card(source / "model.yaml")
    if not NAME.fullmatch(card.name) or not VERSION.fullmatch(card.version):
        raise InvalidCard(
            f"{card.name} {card.version}: a name is small letters, digits, - and _; a version letters, digits, ., -, _."
        )
    weights = (source / card.weights.file).resolve()
    if not weights.is_relative_to(source.resolve()) or not weights.is_file():
        raise InvalidCard(f"weights.file {card.weights.file} is no file in {source}.")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != card.weights.sha256:
        raise InvalidCard(f"{weights.name} has the SHA-256 {digest}; its card says {card.weights.sha256}.")
    shipped = load_shipped(card.name)
    if shipped is not None:
        _must_replace(card, shipped)
        open_engine(weights, threads=1)
    elif card.sliding is None:
        raise InvalidCard(f"The card of {card.name} lacks sliding, which says how its network runs.")
    if card.sliding is not None:
        _must_fit(card, weights)
    return card


def _must_replace(card: Card, shipped: Card) -> None:
    """A new version of a model that ships reads the same series and says the same things."""
    if card.version == shipped.version:
        raise InvalidCard(f"{card.name} {card.version} ships with Nightjar. Give this one another version.")
    if card.inputs != shipped.inputs:
        raise InvalidCard(f"{card.name} reads {_roles(shipped)}; this card reads {_roles(card)}. Give it another name.")
    if [(label.value, label.name, label.code) for label in card.labels] != [
        (label.value, label.name, label.code) for label in shipped.labels
    ]:
        raise InvalidCard(f"The labels of this card are not those of {card.name}. Give it another name.")
    if card.sliding is None and Path(card.weights.file).suffix != ".onnx":
        raise InvalidCard(f"A new version of {card.name} is a network (.onnx).")


def _roles(card: Card) -> str:
    return ", ".join(entry.role + (" (optional)" if entry.optional else "") for entry in card.inputs)


def _must_fit(card: Card, weights: Path) -> None:
    """The network takes a window of the card's inputs and answers with its labels."""
    assert card.sliding is not None
    inputs, outputs = tensor_shapes(weights)
    if set(inputs) != {INPUT} or set(outputs) != {OUTPUT}:
        raise InvalidCard(
            f"{weights.name} reads {', '.join(inputs)} and writes {', '.join(outputs)}; it must read {INPUT} and write "
            f"{OUTPUT}."
        )
    patch = card.sliding.patch
    window = np.zeros((1, len(card.inputs), *patch), np.float32)
    try:
        answer = open_engine(weights, threads=1).run({INPUT: window})[OUTPUT]
    except EngineFailure as error:
        raise InvalidCard(
            f"{weights.name} does not take {_words({INPUT: window.shape})}; it takes {_words(inputs)}."
        ) from error
    channels = len(card.labels) + (card.sliding.output == "softmax")
    if answer.shape != (1, channels, *patch):
        raise InvalidCard(
            f"{weights.name} answers a window {patch} with {answer.shape}; by its card that is {(1, channels, *patch)}."
        )


def _words(shapes: Shapes) -> str:
    return ", ".join(
        f"{name} {' x '.join('any' if size is None else str(size) for size in shape)}" for name, shape in shapes.items()
    )
