"""Checkpoint to ONNX: python -m models.ais.train.export CHECKPOINT VERSION

Writes models/ais/weights/ais-VERSION.onnx, checks that the engine gives what torch gives, and enters version, file and
digest into model.yaml.
"""

import argparse
import hashlib
from pathlib import Path

import torch

from models.ais.train.pool import VIEW
from models.ais.train.training import CHANNELS, new_network
from models.ich.train.export import enter, export
from models.registry import FOLDER


def main() -> None:
    parser = argparse.ArgumentParser(description="Export the network of the ischaemic core.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("version")
    arguments = parser.parse_args()
    network = new_network()
    network.load_state_dict(torch.load(arguments.checkpoint, weights_only=True)["network"])
    folder = FOLDER / "ais"
    weights = folder / "weights" / f"ais-{arguments.version}.onnx"
    difference = export(network, weights, (CHANNELS, VIEW.size, VIEW.size))
    enter(folder / "model.yaml", arguments.version, weights.name, hashlib.sha256(weights.read_bytes()).hexdigest())
    print(f"{weights.name}: {weights.stat().st_size / 2**20:.1f} MB, largest difference to torch {difference:.1e}")


if __name__ == "__main__":
    main()
