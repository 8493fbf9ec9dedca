"""From a network in torch and what a site says of it to a folder that `nightjar model add` takes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from models import exporting
from models.adding import check_model
from models.card import Card
from models.errors import InvalidCard, UnwritableOutput
from models.sliding.model import INPUT, OUTPUT
from models.sliding.settings import Sliding

# What a checkpoint's log of losses is made of; without effect beside making a number.
_NUMBERS: list[Any] = [
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")),
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
]


def read_checkpoint(path: Path) -> Any:
    """What a checkpoint holds; one that would run code is refused.

    Raises:
        InvalidCard: it cannot be read, or holds more than tensors and numbers.
    """
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InvalidCard(f"{path} is not there.") from error
    except Exception as error:  # pickle's and torch's errors share no base but Exception
        raise InvalidCard(
            f"{path} cannot be read as tensors and numbers alone, and nothing else is read from it."
        ) from error


def fill(network: nn.Module, state: Mapping[str, torch.Tensor], source: Path) -> None:
    """Put weights into a network; all of them must be there.

    Raises:
        InvalidCard: names or sizes are not the network's.
    """
    own = network.state_dict()
    wrong = [name for name, tensor in own.items() if name not in state or state[name].shape != tensor.shape]
    if wrong:
        raise InvalidCard(f"{source} holds other weights than its configuration describes: {', '.join(wrong[:3])}.")
    network.load_state_dict({name: state[name] for name in own})


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InvalidCard: there is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidCard(f"{path}: {error.strerror}.") from error
    except ValueError as error:
        raise InvalidCard(f"{path}: this is not JSON.") from error
    if not isinstance(content, dict):
        raise InvalidCard(f"{path}: this is not a JSON object.")
    return content


def write_model(
    said: Path, network: nn.Module, sliding: Sliding, out: Path, *, labels: Mapping[str, int], channels: Sequence[str]
) -> Card:
    """Export the network and write its folder, checked as `nightjar model add` will.

    Args:
        said: what the site says of the model: a model.yaml without sliding and weights.
        labels: the network's, by name, with their values.
        channels: the network's inputs by their names, in its order.

    Raises:
        InvalidCard: the site's words and the network do not go together.
        UnwritableOutput: `out` cannot be written.
    """
    try:
        content = yaml.safe_load(said.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidCard(f"--card {said}: this is not YAML that can be read.") from error
    if not isinstance(content, dict):
        raise InvalidCard(f"--card {said}: the file holds no card.")
    given = {entry.get("name"): entry.get("value") for entry in content.get("labels") or [] if isinstance(entry, dict)}
    if given != dict(labels):
        raise InvalidCard(f"--card {said}: labels: the network's are {_pairs(labels)}; the card says {_pairs(given)}.")
    if len(content.get("inputs") or []) != len(channels):
        raise InvalidCard(f"--card {said}: inputs: one for each of the network's channels, {', '.join(channels)}.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        weights = out / "network.onnx"
        export(network, weights, channels=len(channels), patch=sliding.patch)
        content |= {
            "sliding": sliding.model_dump(mode="json", exclude_defaults=True),
            "weights": {"file": weights.name, "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()},
        }
        (out / "model.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    except OSError as error:
        raise UnwritableOutput(f"--out {out}: {error.strerror}. Name a folder that can be written.") from error
    return check_model(out)


def export(network: nn.Module, weights: Path, *, channels: int, patch: Sequence[int]) -> None:
    """Write the ONNX, free in its batch, and hold it against torch.

    Raises:
        InvalidCard: the two disagree.
    """
    try:
        exporting.export(
            network,
            weights,
            torch.randn(2, channels, *patch),
            torch.randn(1, channels, *patch),
            names=(INPUT, OUTPUT),
        )
    except exporting.Differs as error:
        raise InvalidCard(
            "The exported network does not give what the imported one gives; nothing is written."
        ) from error


def _pairs(labels: Mapping[Any, Any]) -> str:
    return ", ".join(f"{value} {name}" for name, value in labels.items()) or "none"
