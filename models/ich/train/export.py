"""Checkpoint to ONNX: python -m models.ich.train.export CHECKPOINT VERSION

Writes models/ich/weights/ich-VERSION.onnx, checks that ONNX Runtime gives what torch gives, and enters version, file
and digest into model.yaml.
"""

import argparse
import hashlib
import re
from pathlib import Path

import numpy as np
import onnx
import torch

from models.engines import open_engine
from models.ich.train.network import SliceUNet

FOLDER = Path(__file__).parents[1]
OPSET = 18
TOLERANCE = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description="Export the ICH network.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("version")
    arguments = parser.parse_args()
    network = SliceUNet()
    network.load_state_dict(torch.load(arguments.checkpoint, weights_only=True)["network"])
    weights = FOLDER / "weights" / f"ich-{arguments.version}.onnx"
    weights.parent.mkdir(exist_ok=True)
    difference = export(network, weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    enter(FOLDER / "model.yaml", arguments.version, weights.name, digest)
    print(f"{weights.name}: {weights.stat().st_size / 2**20:.1f} MB, largest difference to torch {difference:.1e}")


def export(network: SliceUNet, weights: Path, shape: tuple[int, int, int] = (3, 192, 192)) -> float:
    """Write the ONNX, dynamic in its batch; returns the largest difference of a logit to torch.

    Args:
        shape: channels, rows and columns of a slice with its neighbours.

    Raises:
        RuntimeError: the two disagree by more than TOLERANCE.
    """
    network.eval()
    example = torch.randn(2, *shape)
    program = torch.onnx.export(
        network,
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=["slices"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
        external_data=False,
    )
    if program is None:
        raise RuntimeError("torch exported nothing.")
    onnx.save(without_traces(program.model_proto), weights)
    other = torch.randn(3, *shape)
    with torch.no_grad():
        expected = network(other).numpy()
    given = open_engine(weights, threads=2).run({"slices": other.numpy()})["logits"]
    difference = float(np.abs(given - expected).max())
    if difference > TOLERANCE:
        raise RuntimeError(f"ONNX Runtime differs from torch by {difference:.1e}; {TOLERANCE:.0e} is allowed.")
    return difference


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The exporter notes where in the source every node came from, paths of this machine included: away with that."""
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    return model


def enter(card: Path, version: str, file: str, digest: str) -> None:
    """Set version, weights file and digest in a card, leaving all else and its comments as they are."""
    text = card.read_text(encoding="utf-8")
    for pattern, value in (
        (r"^(version: ).*$", version),
        (r"^(  file: ).*$", f"weights/{file}"),
        (r"^(  sha256: ).*$", digest),
    ):
        text, found = re.subn(pattern, rf"\g<1>{value}", text, count=1, flags=re.MULTILINE)
        if not found:
            raise RuntimeError(f"{card} has no line for {pattern}.")
    card.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
