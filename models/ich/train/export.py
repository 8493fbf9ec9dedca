"""Checkpoint to ONNX: python -m models.ich.train.export CHECKPOINT VERSION

Writes models/ich/weights/ich-VERSION.onnx, checks that the engine gives what torch gives, and enters version, file and
digest into model.yaml.
"""

from pathlib import Path

import torch

from models import exporting
from models.ich.train.network import SliceUNet
from models.ich.train.pool import SIZE


def export(network: SliceUNet, weights: Path) -> float:
    """Write the ONNX, free in its batch; returns the largest difference of a logit to torch."""
    return exporting.export(network, weights, torch.randn(2, 3, SIZE, SIZE))


def main() -> None:
    network = SliceUNet()
    exporting.command("ich", network, lambda weights: export(network, weights))


if __name__ == "__main__":
    main()
