"""A network small enough for unit tests, in place of trained weights: it marks what is bright, in each slab alone."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.card import Card


def write_bright_network(path: Path, card: Card, *, marks: int = 1) -> Path:
    """The threshold network in the shape that a card of the ICH model asks for."""
    settings = card.preprocess
    return write_threshold_network(path, size=settings.size, slabs=len(settings.neighbours), marks=marks)


def write_threshold_network(
    path: Path, *, size: int, slabs: int = 3, classes: int = 6, marks: int = 1, above: float = 0.2
) -> Path:
    """Logits 20 * (middle one of the slabs - above) for class `marks`, -40 for other labels, 0 for the background.

    Three masks follow: everything is inside the skull, nothing is ventricle, nothing is left.
    """
    weight = np.zeros((classes + 3, slabs, 1, 1), np.float32)
    weight[marks, slabs // 2] = 20.0
    bias = np.full(classes + 3, -40.0, np.float32)
    bias[0], bias[marks], bias[classes] = 0.0, -20.0 * above, 40.0
    return _write(path, weight, bias, size)


def write_core_network(path: Path, *, size: int) -> Path:
    """Of DWI and ADC, each below, itself, above: logits 20 where the middle DWI exceeds the usual by a half."""
    weight = np.zeros((2, 6, 1, 1), np.float32)
    weight[0, 1] = 40.0
    return _write(path, weight, np.array([-20.0, 40.0], np.float32), size)


def write_region_network(path: Path, *, size: int) -> Path:
    """Of T1c, FLAIR, T2 and T1, each below, itself, above: whole tumour where the middle FLAIR exceeds the usual by a
    half, its body where T2 is twice the usual, what enhances where T1c exceeds the usual by seven tenths; everything is
    inside the skull, nothing is ventricle, nothing is left."""
    weight = np.zeros((6, 12, 1, 1), np.float32)
    weight[0, 4], weight[1, 7], weight[2, 1] = 40.0, 40.0, 40.0
    return _write(path, weight, np.array([-20.0, -40.0, -28.0, 40.0, -40.0, -40.0], np.float32), size)


def write_broken_network(path: Path, *, size: int, slabs: int = 3, classes: int = 6) -> Path:
    """Logits that are no numbers."""
    weight = np.full((classes + 3, slabs, 1, 1), np.nan, np.float32)
    return _write(path, weight, np.zeros(classes + 3, np.float32), size)


def write_hungry_network(path: Path, *, size: int, channels: int = 256) -> Path:
    """The largest of each of `channels` images a slice: a batch needs far more memory than its answer."""
    weight = np.linspace(0, 1, channels * 3, dtype=np.float32).reshape(channels, 3, 1, 1)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["slices", "weight"], ["wide"]),
            helper.make_node("GlobalMaxPool", ["wide"], ["logits"]),
        ],
        "hungry",
        [helper.make_tensor_value_info("slices", TensorProto.FLOAT, ["batch", 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", channels, 1, 1])],
        [numpy_helper.from_array(weight, "weight")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _write(path: Path, weight: np.ndarray, bias: np.ndarray, size: int) -> Path:
    classes = len(bias)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["slices", "weight", "bias"], ["logits"])],
        "tiny",
        [helper.make_tensor_value_info("slices", TensorProto.FLOAT, ["batch", weight.shape[1], size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes, size, size])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path
