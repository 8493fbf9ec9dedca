"""TensorRT and ONNX Runtime on CUDA without a GPU: the whole of our side, on stand-ins of their bindings."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from support import tensorrt_stand_in
from support.tiny_network import write_threshold_network

from models.engines import Terms, onnx_runtime, open_engine, tensorrt
from models.engines.available import list_engines
from models.engines.cuda import Device
from models.engines.half import in_half
from models.engines.plans import builds
from models.errors import EngineFailure, InvalidCard, MissingEngine

TERMS = Terms(batch=4)
HALF = Terms(batch=4, half_tolerance=0.05)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_threshold_network(tmp_path / "tiny.onnx", size=8)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """TensorRT and a GPU are there; what is built is noted here."""
    log: list[str] = []
    _install(monkeypatch, log)
    return log


def _install(monkeypatch: pytest.MonkeyPatch, log: list[str], version: str = "10.13.3", gpu: str = "9.0") -> None:
    module = tensorrt_stand_in.binding(log, version)
    monkeypatch.setattr(tensorrt, "library", lambda: module)
    monkeypatch.setattr(tensorrt, "cuda", tensorrt_stand_in.driver(gpu))


def _noise(count: int) -> dict[str, Any]:
    return {"slices": np.random.default_rng(count).normal(size=(count, 3, 8, 8)).astype(np.float32)}


@pytest.mark.parametrize(("terms", "precision", "within"), [(TERMS, "fp32", 1e-4), (HALF, "fp16", 0.05)])
@pytest.mark.usefixtures("built")
def test_tensorrt_answers_as_onnx_runtime_does_in_the_precision_of_the_card(
    network: Path, tmp_path: Path, terms: Terms, precision: str, within: float
) -> None:
    engine = open_engine(network, threads=1, engine="tensorrt", terms=terms, folder=tmp_path)
    assert engine.name == f"tensorrt 10.13.3 {precision}"
    plain = open_engine(network, threads=1, engine="onnxruntime")
    for count in (1, 4, 2):
        given, expected = (one.run(_noise(count))["logits"] for one in (engine, plain))
        assert given.shape == expected.shape
        assert np.abs(given - expected).max() <= within
    with pytest.raises(EngineFailure, match="other names, types or sizes"):
        engine.run(_noise(5))


def test_a_plan_is_built_once_and_anew_for_another_library_gpu_precision_or_batch(
    network: Path, tmp_path: Path, built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(terms: Terms = TERMS) -> int:
        open_engine(network, threads=1, engine="tensorrt", terms=terms, folder=tmp_path)
        return len(built)

    assert [start(), start(), start(HALF), start(Terms(batch=8)), start()] == [1, 1, 2, 3, 3]
    _install(monkeypatch, built, version="10.14.0")
    assert [start(), start()] == [4, 4]
    _install(monkeypatch, built, gpu="12.0")
    assert [start(), start()] == [5, 5]
    assert {build.precision for build in builds(tmp_path)} == {"fp32", "fp16"}
    assert len(builds(tmp_path)) == 5
    # What the first build measured helped the next ones on the same GPU by the same library.
    nothing, measured = "built with b''", f"built with {tensorrt_stand_in.MEASURED!r}"
    assert built == [nothing, measured, measured, nothing, nothing]


@pytest.mark.parametrize("content", [b"garbage", b"other GPU's"])
def test_timings_that_tensorrt_does_not_take_are_measured_anew(
    content: bytes, built: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    kept: list[bytes] = []
    tensorrt.build_plan(b"", {"x": _Any()}, tell=lambda *_: None, timings=content, keep=kept.append)
    assert built == ["built with b''"]
    assert kept == [tensorrt_stand_in.MEASURED]
    assert "measures anew" in caplog.text


class _Any:
    smallest = usual = largest = (1,)


@pytest.mark.usefixtures("built")
def test_only_the_outermost_phase_of_a_build_is_told() -> None:
    told: list[tuple[str, float]] = []
    tensorrt.build_plan(b"", {"x": _Any()}, tell=lambda *said: told.append(said), keep=lambda _: None)
    assert {phase for phase, _ in told} == {"Building the engine"}
    assert [share for _, share in told] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_damaged_plan_and_one_the_library_does_not_take_are_built_anew(
    network: Path, tmp_path: Path, built: list[str]
) -> None:
    for count, damage in enumerate((lambda whole: whole[:-9], lambda _: b"", lambda whole: whole[::-1]), start=2):
        open_engine(network, threads=1, engine="tensorrt", terms=TERMS, folder=tmp_path)
        [plan] = tmp_path.glob("*.plan")
        plan.write_bytes(damage(plan.read_bytes()))
        engine = open_engine(network, threads=1, engine="tensorrt", terms=TERMS, folder=tmp_path)
        assert engine.run(_noise(1))
        assert len(built) == count


def _answer_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    read = tensorrt_stand_in.Memory.read
    monkeypatch.setattr(tensorrt_stand_in.Memory, "read", lambda memory, shape: read(memory, shape) + 0.01)


@pytest.mark.usefixtures("built")
def test_a_gpu_that_answers_otherwise_than_the_card_allows_is_not_used(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answer_otherwise(monkeypatch)
    with pytest.raises(
        MissingEngine, match=r"differs from ONNX Runtime's on the CPU by 0\.01, and the card allows 0\.001"
    ):
        open_engine(network, threads=1, engine="tensorrt", terms=TERMS, folder=tmp_path)
    assert open_engine(network, threads=1, engine="tensorrt", terms=HALF, folder=tmp_path).name.endswith("fp16")


def test_float16_keeps_inputs_outputs_and_scales_and_refuses_what_it_cannot_hold(network: Path) -> None:
    model = onnx.load_from_string(in_half(network.read_bytes()))
    onnx.checker.check_model(model, full_check=True)
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert set(types.values()) == {onnx.TensorProto.FLOAT16}
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    large = onnx.load(network)
    large.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.full((9, 3, 1, 1), 1e5, np.float32), "weight"))
    with pytest.raises(InvalidCard, match="weights that float16 cannot hold"):
        in_half(large.SerializeToString())
    with pytest.raises(InvalidCard, match="no ONNX file"):
        in_half(b"no network")


# ONNX Runtime on CUDA


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """ONNX Runtime has CUDA; which providers each session was opened with is noted here."""
    asked: list[Any] = []
    real = onnxruntime.InferenceSession

    class Session(real):  # type: ignore[misc,valid-type]
        def __init__(self, weights: Path, options: Any = None, *, providers: list[Any]) -> None:
            asked.append(providers)
            super().__init__(weights, options, providers=["CPUExecutionProvider"])
            self.taken = [name if isinstance(name, str) else name[0] for name in providers]

        def get_providers(self) -> list[str]:
            return self.taken

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [onnx_runtime.CUDA, "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnx_runtime, "device", lambda: Device("Stand-in", "9.0"))
    return asked


def test_without_tensorrt_a_gpu_is_onnx_runtimes_on_cuda(network: Path, cuda: list[Any]) -> None:
    engine = open_engine(network, threads=1, engine="gpu", terms=TERMS)
    assert engine.name == f"onnxruntime {onnx_runtime.version()} CUDA float32"
    assert cuda[0] == [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]
    plain = open_engine(network, threads=1, engine="onnxruntime")
    assert cuda[-1] == ["CPUExecutionProvider"]
    assert np.array_equal(engine.run(_noise(3))["logits"], plain.run(_noise(3))["logits"])
    found = {entry.name: entry for entry in list_engines()}
    assert (found["cuda"].automatic, found["cuda"].why_not) == (True, None)
    assert found["cuda"].device == "Stand-in, compute capability 9.0"
    assert not found["tensorrt"].automatic


@pytest.mark.usefixtures("built", "cuda")
def test_with_tensorrt_a_gpu_is_tensorrts_unless_that_answers_otherwise(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert open_engine(network, threads=1, engine="gpu", terms=TERMS, folder=tmp_path).name == "tensorrt 10.13.3 fp32"
    _answer_otherwise(monkeypatch)
    assert "CUDA" in open_engine(network, threads=1, engine="gpu", terms=TERMS, folder=tmp_path).name
    assert "the card allows" in caplog.text


@pytest.mark.usefixtures("cuda")
def test_cuda_whose_libraries_are_missing_is_no_cuda(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda _: ["CPUExecutionProvider"])
    with pytest.raises(MissingEngine, match="libraries of CUDA or cuDNN"):
        open_engine(network, threads=1, engine="cuda", terms=TERMS)


def test_without_either_every_reason_is_said(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> None:
        raise MissingEngine("Neither tensorrt nor tensorrt_rtx can be loaded here.")

    monkeypatch.setattr(tensorrt, "library", nothing)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(MissingEngine, match=r"Neither tensorrt.*installed without CUDA"):
        open_engine(network, threads=1, engine="gpu", terms=TERMS)
    assert {entry.name for entry in list_engines() if entry.why_not is not None} == {"tensorrt", "cuda"}
