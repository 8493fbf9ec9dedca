"""Versions of models that ship, with networks narrow enough for tests and benches."""

import hashlib
from pathlib import Path

import torch
import yaml

from models import exporting
from models.card import Card, Weights
from models.ich.train.network import NEIGHBOURS
from models.registry import load_shipped
from models.unet.network import SliceUNet

CHANNELS = {"ich": (len(NEIGHBOURS), 9), "ais": (6, 2)}
"""In and out."""


def small_network(model: str, widths: tuple[int, ...] = (4, 6, 8)) -> SliceUNet:
    """Of the model's channels, with weights as drawn."""
    torch.manual_seed(0)
    return SliceUNet(*CHANNELS[model], widths)


def write_version(model: str, network: SliceUNet, folder: Path, version: str) -> Card:
    """A folder as `nightjar model add` takes it: the shipped card with another network."""
    shipped = load_shipped(model)
    if shipped is None:
        raise RuntimeError(f"{model} does not ship.")
    file = folder / "weights" / f"{model}-{version}.onnx"
    file.parent.mkdir(parents=True)
    size = shipped.preprocess.size
    exporting.export(network, file, torch.randn(2, CHANNELS[model][0], size, size))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    update = {"version": version, "weights": Weights(file=f"weights/{file.name}", sha256=digest), "baselines": {}}
    card = shipped.model_copy(update=update)
    (folder / "model.yaml").write_text(yaml.safe_dump(card.model_dump(mode="json", exclude_defaults=True)))
    return card
