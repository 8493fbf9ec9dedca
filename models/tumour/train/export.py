"""Checkpoints to ONNX: python -m models.tumour.train.export REGIONS VERSION --middle MIDDLE

Writes models/tumour/weights/tumour-VERSION.onnx, checks that the engine gives what torch gives, and enters version,
file and digest into model.yaml.
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from models import exporting
from models.tumour.train.pool import VIEW
from models.tumour.train.training import CHANNELS, Both
from models.unet.grow import read_any


def export(network: nn.Module, weights: Path) -> float:
    """Write the ONNX, free in its batch; returns the largest difference of a logit to torch."""
    return exporting.export(network, weights, torch.randn(2, CHANNELS, VIEW.size, VIEW.size))


def main() -> None:
    parser = argparse.ArgumentParser(description="Export the networks of the model tumour.")
    parser.add_argument("regions", type=Path, help="checkpoint, or an ONNX that holds this network")
    parser.add_argument("version")
    parser.add_argument("--middle", type=Path, required=True, help="likewise, of ventricles and left")
    arguments = parser.parse_args()
    both = Both(read_any(arguments.regions, "regions"), read_any(arguments.middle, "middle"))
    exporting.ship("tumour", arguments.version, lambda weights: export(both, weights))


if __name__ == "__main__":
    main()
