"""Checkpoints to ONNX: python -m models.ich.train.export CHECKPOINT VERSION [--beside FILE [--instead NAME]]

Writes models/ich/weights/ich-VERSION.onnx, checks that the engine gives what torch gives, and enters version, file and
digest into model.yaml. With --beside, the networks of another file count as much, and the checkpoint's is asked in the
mirror.
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from models import exporting
from models.ich.train.pool import SIZE
from models.unet.committee import MIRRORED, PLAIN, Bleeds, inputs_of
from models.unet.grow import ONNX, read_any
from models.unet.network import SliceUNet
from models.unet.weights import read_parts, unfold


def export(network: nn.Module, weights: Path) -> float:
    """Write the ONNX, free in its batch; returns the largest difference of a logit to torch."""
    return exporting.export(network, weights, torch.randn(2, inputs_of(network), SIZE, SIZE))


def join(network: SliceUNet, beside: Path, instead: str | None = None) -> Bleeds:
    """A network and those of a file, asked together.

    Args:
        beside: a checkpoint, or an ONNX of one network or several.
        instead: the name of the one in it whose place the network takes.

    Raises:
        ValueError: the file has none of this name.
    """
    if beside.suffix == ONNX:
        members = {name or PLAIN: unfold(part) for name, part in read_parts(beside).items()}
    else:
        members = {PLAIN: read_any(beside)}
    if instead is not None and instead not in members:
        raise ValueError(f"{beside.name} holds {', '.join(members)}, and no {instead}.")
    joined = MIRRORED if len(members) == 1 else f"{MIRRORED}{len(members)}"
    return Bleeds(members | {instead or joined: network})


def main() -> None:
    parser = argparse.ArgumentParser(description="Export the network of the model ich.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("version")
    parser.add_argument(
        "--beside", type=Path, metavar="FILE", help="checkpoint or ONNX of other networks, asked with it"
    )
    parser.add_argument("--instead", metavar="NAME", help="which of these it takes the place of")
    arguments = parser.parse_args()
    network = read_any(arguments.checkpoint)
    served = network if arguments.beside is None else join(network, arguments.beside, arguments.instead)
    exporting.ship("ich", arguments.version, lambda weights: export(served, weights))


if __name__ == "__main__":
    main()
