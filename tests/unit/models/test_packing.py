"""Weights kept in float16 and computed with in float32."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.engines import EngineChoice, open_engine
from models.engines.half import in_half
from models.packing import FEWEST, pack, weights_in

CHANNELS, SIZE = 64, 16


def _network(scale: float = 1.0) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    weight = (scale * rng.normal(size=(CHANNELS, 3, 3, 3))).astype(np.float32)
    bias = rng.normal(size=CHANNELS).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["slices", "weight", "bias"], ["logits"], pads=[1, 1, 1, 1])],
        "one",
        [helper.make_tensor_value_info("slices", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CHANNELS, SIZE, SIZE])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_every_engine_reads_packed_weights_as_the_numbers_they_are(tmp_path: Path, engine: EngineChoice) -> None:
    plain, packed = tmp_path / "plain.onnx", tmp_path / "packed.onnx"
    onnx.save(_network(), plain)
    onnx.save(pack(_network()), packed)
    onnx.checker.check_model(onnx.load(packed), full_check=True)
    assert packed.stat().st_size < 0.65 * plain.stat().st_size
    weights = weights_in(onnx.load(packed))
    slices = np.random.default_rng(1).normal(size=(2, 3, SIZE, SIZE)).astype(np.float32)
    given = open_engine(packed, threads=1, engine=engine).run({"slices": slices})["logits"]
    # What float16 leaves of each weight, computed with in float32.
    rounded = _network()
    rounded.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights["weight"], "weight"))
    onnx.save(rounded, plain)
    expected = open_engine(plain, threads=1, engine=engine).run({"slices": slices})["logits"]
    assert np.allclose(given, expected, atol=1e-5)


def test_large_weights_keep_eleven_bits_and_small_tensors_all(tmp_path: Path) -> None:
    before, after = weights_in(_network()), weights_in(pack(_network()))
    assert after.keys() == before.keys()
    assert before["weight"].size >= FEWEST > before["bias"].size
    assert (after["bias"] == before["bias"]).all()
    assert (after["weight"] != before["weight"]).any()
    assert np.allclose(after["weight"], before["weight"], rtol=2**-11, atol=1e-7)


def test_what_float16_cannot_hold_stays_as_it_is() -> None:
    before, after = weights_in(_network(1e6)), weights_in(pack(_network(1e6)))
    assert (after["weight"] == before["weight"]).all()


def test_packed_weights_are_those_of_a_network_in_float16(tmp_path: Path) -> None:
    model = onnx.load_from_string(in_half(pack(_network()).SerializeToString()))
    onnx.checker.check_model(model, full_check=True)
    assert (weights_in(model)["weight"] == weights_in(pack(_network()))["weight"]).all()
