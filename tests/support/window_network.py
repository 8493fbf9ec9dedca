"""A network that runs in windows and marks what is bright, with the card and folder a site would bring."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

LABEL = {
    "value": 1,
    "name": "lesion",
    "meaning": "Something bright",
    "code": {"value": "52988006", "meaning": "Lesion"},
    "colour": [230, 60, 60],
    "operating_point": {"probability": 0.5, "volume_ml": 0.5},
    "urgency": {"immediate_ml": 50, "urgent_ml": 0},
}


def write_window_network(
    path: Path, *, channels: int = 1, answers: int = 2, axes: int = 3, above: float = 0.5, slope: float = 40.0
) -> Path:
    """Logits slope * (first channel - above) in the last answer, 0 in the others, for windows of any size."""
    weight = np.zeros((answers, channels, *[1] * axes), np.float32)
    weight[-1, 0] = slope
    bias = np.zeros(answers, np.float32)
    bias[-1] = -slope * above
    sizes = ["a", "b", "c"][:axes]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight", "bias"], ["logits"])],
        "windows",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", channels, *sizes])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", answers, *sizes])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def write_model(
    folder: Path, *, name: str = "brought", version: str = "1.0.0", roles: tuple[str, ...] = ("NCCT",),
    network: dict[str, Any] | None = None, **sliding: Any,
) -> Path:  # fmt: skip
    """A folder with model.yaml and a network, as `nightjar model add` takes it.

    Args:
        network: arguments of `write_window_network`.
        sliding: in place of this card's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = write_window_network(folder / "network.onnx", **{"channels": len(roles)} | (network or {}))
    card = {
        "name": name,
        "version": version,
        "task": "Bright things",
        "intended_use": "Research. Prioritisation only. Not for diagnosis.",
        "priority": 10,
        "inputs": [{"role": role, "modality": "CT"} for role in roles],
        "labels": [LABEL],
        "sliding": {
            "axes": "SPL",
            "patch": [8, 32, 32],
            "intensity": [{"rule": "window", "low": 0, "high": 100, "scale": 100}] * len(roles),
        }
        | sliding,
        "batch": 4,
        "weights": {"file": weights.name, "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()},
        "limits": ["Made for a test."],
        "measured": [],
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    return folder
