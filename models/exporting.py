"""A network in torch to the ONNX that is served. Needs torch, as nothing that serves does."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from models.engines import open_engine
from models.packing import pack
from models.registry import FOLDER

OPSET = 18
TOLERANCE, PACKED_TOLERANCE = 1e-3, 5e-3
"""Of a difference to torch, as exported and with weights packed to float16."""

BATCH = {0: torch.export.Dim("batch", min=1, max=64)}
"""What may vary of an input: how many slices or patches there are."""


class Differs(RuntimeError):
    """What was exported does not give what torch gives."""


def ship(name: str, version: str, write: Callable[[Path], float]) -> None:
    """Let `write` make the weights of a version in the model's folder, and enter them into its card."""
    weights = FOLDER / name / "weights" / f"{name}-{version}.onnx"
    weights.parent.mkdir(exist_ok=True)
    difference = write(weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    enter(FOLDER / name / "model.yaml", version, weights.name, digest)
    print(f"{weights.name}: {weights.stat().st_size / 2**20:.1f} MB, largest difference to torch {difference:.1e}")


def export(
    network: nn.Module,
    weights: Path,
    example: Tensor,
    other: Tensor | None = None,
    *,
    names: tuple[str, str] = ("slices", "logits"),
    varying: dict[int, Any] = BATCH,
    tolerance: float = TOLERANCE,
    packed: bool = True,
) -> float:
    """Write the ONNX and run it beside torch.

    Args:
        example: an input, with at least two of everything that varies.
        other: what both are run on; three more like the example unless given.
        names: of input and output.
        varying: axes of the input that are free, with their ranges.
        tolerance: of a difference before packing, relative to the largest output where that is above 1.
        packed: whether weights are kept in float16 (`models.packing`).

    Returns:
        The largest difference to torch, so measured.

    Raises:
        Differs: it is above the tolerance.
    """
    network.eval()
    program = torch.onnx.export(
        network,
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=names[:1],
        output_names=names[1:],
        dynamic_shapes=(varying,),
        external_data=False,
        verbose=False,  # its progress goes to standard output, where --json is
    )
    if program is None:
        raise RuntimeError("torch exported nothing.")
    if other is None:
        other = torch.randn(3, *example.shape[1:])
    with torch.no_grad():
        expected = network(other).numpy()

    def differs(allowed: float) -> float:
        given = open_engine(weights, threads=2).run({names[0]: other.numpy()})[names[1]]
        difference = float(np.abs(given - expected).max()) / max(1.0, float(np.abs(expected).max()))
        if not difference <= allowed:
            raise Differs(f"The engine differs from torch by {difference:.1e}; {allowed:.0e} is allowed.")
        return difference

    model = without_traces(program.model_proto)
    onnx.save(model, weights)
    difference = differs(tolerance)
    if not packed:
        return difference
    onnx.save(pack(model), weights)
    return differs(PACKED_TOLERANCE)


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
