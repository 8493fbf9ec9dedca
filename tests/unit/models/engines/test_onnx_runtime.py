"""ONNX Runtime runs what it is given or says that it could not, in the errors of this package."""

from pathlib import Path

import numpy as np
import pytest
from support.tiny_network import write_threshold_network

from models.engines import Engine, open_engine
from models.errors import EngineFailure, InvalidCard


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_engine(write_threshold_network(tmp_path / "tiny.onnx", size=8, above=0.5), threads=1)


@pytest.mark.parametrize("batch", [1, 3])
def test_outputs_come_by_name_for_any_batch(engine: Engine, batch: int) -> None:
    slices = np.random.default_rng(0).random((batch, 3, 8, 8)).astype(np.float32)
    before = slices.copy()
    answer = engine.run({"slices": slices})
    assert list(answer) == ["logits"]
    assert answer["logits"].dtype == np.float32
    assert np.allclose(answer["logits"][:, 1], 20 * (slices[:, 1] - 0.5), atol=1e-4)
    assert np.array_equal(slices, before)
    assert engine.name.startswith("onnxruntime ")


@pytest.mark.parametrize(
    "inputs",
    [
        {"slices": np.zeros((1, 3, 9, 8), np.float32)},
        {"slices": np.zeros((3, 8, 8), np.float32)},
        {"slices": np.zeros((1, 3, 8, 8), np.float64)},
        {"images": np.zeros((1, 3, 8, 8), np.float32)},
        {},
    ],
    ids=["size", "axes", "type", "name", "nothing"],
)
def test_inputs_that_do_not_fit_fail_in_our_words(engine: Engine, inputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(EngineFailure, match="ONNX Runtime could not run the network"):
        engine.run(inputs)


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x08" + bytes(64)])
def test_a_file_that_is_no_network_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.onnx").write_bytes(content)
    with pytest.raises(InvalidCard, match=r"weights\.onnx is not a network"):
        open_engine(tmp_path / "weights.onnx", threads=1)


def test_a_truncated_network_is_named(tmp_path: Path) -> None:
    whole = write_threshold_network(tmp_path / "tiny.onnx", size=8).read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidCard, match=r"cut\.onnx is not a network"):
        open_engine(tmp_path / "cut.onnx", threads=1)
