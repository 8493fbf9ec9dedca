"""Checkpoint to ONNX: python -m models.tumour.train.export CHECKPOINT VERSION

Writes models/tumour/weights/tumour-VERSION.onnx, checks that the engine gives what torch gives, and enters version,
file and digest into model.yaml.
"""

from pathlib import Path

import torch
from torch import nn

from models import exporting
from models.tumour.train.pool import VIEW
from models.tumour.train.training import CHANNELS, new_network


def export(network: nn.Module, weights: Path) -> float:
    """Write the ONNX, free in its batch; returns the largest difference of a logit to torch."""
    return exporting.export(network, weights, torch.randn(2, CHANNELS, VIEW.size, VIEW.size))


def main() -> None:
    network = new_network()
    exporting.command("tumour", network, lambda weights: export(network, weights))


if __name__ == "__main__":
    main()
