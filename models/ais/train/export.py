"""Checkpoint to ONNX: python -m models.ais.train.export CHECKPOINT VERSION [--beside FILE]

Writes models/ais/weights/ais-VERSION.onnx, checks that the engine gives what torch gives, and enters version, file and
digest into model.yaml. With --beside, another network's answers count as much.
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from models import exporting
from models.ais.train.pool import VIEW
from models.ais.train.training import CHANNELS
from models.unet.committee import ANOTHER, PLAIN, Mean
from models.unet.grow import read_any


def export(network: nn.Module, weights: Path) -> float:
    """Write the ONNX, free in its batch; returns the largest difference of a logit to torch."""
    return exporting.export(network, weights, torch.randn(2, CHANNELS, VIEW.size, VIEW.size))


def main() -> None:
    parser = argparse.ArgumentParser(description="Export the network of the model ais.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("version")
    parser.add_argument(
        "--beside", type=Path, metavar="FILE", help="checkpoint or ONNX of another network, asked with it"
    )
    arguments = parser.parse_args()
    network = read_any(arguments.checkpoint)
    served = network if arguments.beside is None else Mean({PLAIN: read_any(arguments.beside, PLAIN), ANOTHER: network})
    exporting.ship("ais", arguments.version, lambda weights: export(served, weights))


if __name__ == "__main__":
    main()
