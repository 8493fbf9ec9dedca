"""Weights that are kept in float16 and computed with in float32: half the bytes in the repository and in an image.

The file says so itself, by a Cast after each of them, which every engine works out once when it opens the file.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FEWEST = 1024
"""Values from which on a tensor is packed: biases and scales stay exact."""

SUFFIX = ".packed"


def pack(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep the large weights of a model in float16, in place; those that float16 cannot hold stay as they are."""
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < FEWEST:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        if np.abs(values).max() <= np.finfo(np.float16).max:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + SUFFIX))
            casts.append(helper.make_node("Cast", [name + SUFFIX], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def weights_in(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    """Its floating-point weights by the names that its nodes know them by, packed or not."""
    return {
        tensor.name.removesuffix(SUFFIX): numpy_helper.to_array(tensor).astype(np.float32)
        for tensor in model.graph.initializer
        if tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16)
    }
