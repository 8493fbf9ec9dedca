"""What `nightjar engines` says is what opening an engine would do."""

import sys
from pathlib import Path

import pytest
from support.tiny_network import write_threshold_network

from models.engines import Terms, open_engine
from models.engines.available import list_engines, time_engines
from models.errors import MissingEngine


def test_engines_are_listed_with_why_not_and_the_automatic_one_is_what_auto_opens(tmp_path: Path) -> None:
    found = {entry.name: entry for entry in list_engines()}
    assert set(found) == {"openvino", "onnxruntime", "tensorrt", "cuda"}
    network = write_threshold_network(tmp_path / "tiny.onnx", size=8)
    [automatic] = [entry for entry in found.values() if entry.automatic]
    assert open_engine(network, threads=1).name == f"{automatic.name} {automatic.version} float32"
    for entry in found.values():
        assert (entry.why_not is None) == (entry.version is not None)
        if entry.why_not is not None:
            with pytest.raises(MissingEngine) as refused:
                open_engine(network, threads=1, engine=entry.name)
            assert str(refused.value) == entry.why_not


def test_without_openvino_onnx_runtime_is_automatic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "models.engines.openvino", raising=False)
    monkeypatch.delattr("models.engines.openvino", raising=False)
    first, *_ = list_engines()
    assert (first.name, first.automatic) == ("onnxruntime", True)


def test_engines_are_timed_on_one_batch_and_agree(tmp_path: Path) -> None:
    network = write_threshold_network(tmp_path / "tiny.onnx", size=8)
    timings = time_engines(network, threads=1, terms=Terms(batch=4), folder=None)
    assert {timing.name for timing in timings} == {entry.name for entry in list_engines() if entry.why_not is None}
    assert all(timing.run_ms > 0 and timing.difference < 1e-3 for timing in timings)
