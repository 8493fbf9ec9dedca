"""A network in float16, as a GPU's tensor cores want it: its weights and what runs through it, not what goes in and
comes out.

TensorRT for RTX and TensorRT 11 take the types that a network has, and no flag that lets them choose (strong typing);
TensorRT 10 can do so as well. So the network itself is written in float16, for every library alike.
"""

import numpy as np

from models.errors import InvalidCard, MissingEngine

ALWAYS_FLOAT = {"Resize": (1, 2)}
"""Inputs that the standard gives in float32 whatever the tensors are (ONNX, operator Resize: roi and scales)."""


def in_half(network: bytes) -> bytes:
    """An ONNX file's content in float16, inputs and outputs in float32 as before.

    Raises:
        InvalidCard: it cannot be read, branches, or has weights that float16 cannot hold.
        MissingEngine: the package onnx, which this needs, is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise MissingEngine("A network in float16 needs the package onnx, which cannot be loaded here.") from error
    try:
        model = onnx.load_from_string(network)
    except Exception as error:  # protobuf's own, by whichever implementation it has
        raise InvalidCard("The network is no ONNX file.") from error
    graph = model.graph
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        raise InvalidCard("The network branches, and runs in float32 alone.")

    def halved(tensor: "onnx.TensorProto", name: str) -> "onnx.TensorProto":
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
            raise InvalidCard("The network has weights that float16 cannot hold.")
        return numpy_helper.from_array(values.astype(np.float16), name)

    kept = {
        node.input[place]
        for node in graph.node
        for place in ALWAYS_FLOAT.get(node.op_type, ())
        if place < len(node.input)
    }
    weights = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT]
    renamed = {tensor.name: f"{tensor.name}.half" for tensor in weights}
    inputs = [value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.FLOAT]
    outputs = [value.name for value in graph.output if value.type.tensor_type.elem_type == TensorProto.FLOAT]
    renamed |= {name: f"{name}.half" for name in (*inputs, *outputs)}
    for tensor in weights:
        graph.initializer.append(halved(tensor, renamed[tensor.name]))
        if tensor.name not in kept:
            graph.initializer.remove(tensor)
    for node in graph.node:
        always = ALWAYS_FLOAT.get(node.op_type, ())
        for place, name in enumerate(node.input):
            if place not in always:
                node.input[place] = renamed.get(name, name)
        for place, name in enumerate(node.output):
            node.output[place] = renamed.get(name, name)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
            if attribute.HasField("t") and attribute.t.data_type == TensorProto.FLOAT and node.output[0] not in kept:
                attribute.t.CopyFrom(halved(attribute.t, attribute.t.name))
    casts = [helper.make_node("Cast", [name], [renamed[name]], to=TensorProto.FLOAT16) for name in inputs]
    nodes = [*casts, *graph.node]
    nodes += [helper.make_node("Cast", [renamed[name]], [name], to=TensorProto.FLOAT) for name in outputs]
    del graph.node[:], graph.value_info[:]  # what is said there of types in between no longer holds
    graph.node.extend(nodes)
    return bytes(model.SerializeToString())
