"""Checkpoint to ONNX: python -m models.enhance.train.export CHECKPOINT VERSION

Writes models/enhance/weights/enhance-VERSION.onnx, checks that the engine gives what torch gives, and enters version,
file and digest into model.yaml.
"""

import argparse
from pathlib import Path

import torch

from models import exporting
from models.enhance.train.network import CHANNELS, DetailNet
from models.training import read_weights

TOLERANCE = 1e-4


def export(network: DetailNet, weights: Path) -> float:
    """Write the ONNX, free in batch, readout and phase; returns the largest difference to torch."""
    dimension = torch.export.Dim
    return exporting.export(
        network,
        weights,
        torch.rand(2, CHANNELS, 96, 128),
        torch.rand(3, CHANNELS, 132, 100),
        names=("slices", "detail"),
        varying={
            0: dimension("batch", min=1, max=256),
            2: 4 * dimension("rows", min=8, max=512),
            3: 4 * dimension("columns", min=8, max=512),
        },
        tolerance=TOLERANCE,
        packed=False,  # an image's values are its answer, and the file is small
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Export the network of the model enhance.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("version")
    arguments = parser.parse_args()
    network = DetailNet()
    read_weights(network, arguments.checkpoint)
    exporting.ship("enhance", arguments.version, lambda weights: export(network, weights))


if __name__ == "__main__":
    main()
