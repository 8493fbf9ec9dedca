"""Checkpoint to ONNX: python -m models.enhance.train.export CHECKPOINT VERSION

Writes models/enhance/weights/enhance-VERSION.onnx, checks that the engine gives what torch gives, and enters version,
file and digest into model.yaml.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import onnx
import torch

from models.engines import open_engine
from models.enhance.train.network import CHANNELS, DetailNet
from models.ich.train.export import OPSET, enter, without_traces

FOLDER = Path(__file__).parents[1]
TOLERANCE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description="Export the enhancement network.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("version")
    arguments = parser.parse_args()
    network = DetailNet()
    network.load_state_dict(torch.load(arguments.checkpoint, weights_only=True)["network"])
    weights = FOLDER / "weights" / f"enhance-{arguments.version}.onnx"
    weights.parent.mkdir(exist_ok=True)
    difference = export(network, weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    enter(FOLDER / "model.yaml", arguments.version, weights.name, digest)
    print(f"{weights.name}: {weights.stat().st_size / 2**20:.1f} MB, largest difference to torch {difference:.1e}")


def export(network: DetailNet, weights: Path) -> float:
    """Write the ONNX, free in batch, readout and phase; returns the largest difference to torch.

    Raises:
        RuntimeError: the two disagree by more than TOLERANCE.
    """
    network.eval()
    dimension = torch.export.Dim
    program = torch.onnx.export(
        network,
        (torch.rand(2, CHANNELS, 96, 128),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["slices"],
        output_names=["detail"],
        dynamic_shapes=(
            {
                0: dimension("batch", min=1, max=256),
                2: 4 * dimension("rows", min=8, max=512),
                3: 4 * dimension("columns", min=8, max=512),
            },
        ),
        external_data=False,
    )
    if program is None:
        raise RuntimeError("torch exported nothing.")
    onnx.save(without_traces(program.model_proto), weights)
    other = torch.rand(3, CHANNELS, 132, 100)
    with torch.no_grad():
        expected = network(other).numpy()
    given = open_engine(weights, threads=2).run({"slices": other.numpy()})["detail"]
    difference = float(np.abs(given - expected).max())
    if difference > TOLERANCE:
        raise RuntimeError(f"The engine differs from torch by {difference:.1e}; {TOLERANCE:.0e} is allowed.")
    return difference


if __name__ == "__main__":
    main()
