"""What can run networks on this machine, why the rest cannot, and how fast each is here."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from models.engines import EngineChoice, open_engine
from models.errors import MissingEngine, ModelError

ENGINES: tuple[EngineChoice, ...] = ("openvino", "onnxruntime", "tensorrt")
RUNS = 5


@dataclass(frozen=True)
class Availability:
    """One engine.

    Attributes:
        version: None when it is not there.
        device: what it runs on.
        why_not: a sentence when it cannot be used.
        automatic: whether `engine: auto` is this one.
    """

    name: EngineChoice
    version: str | None
    device: str | None
    why_not: str | None
    automatic: bool = False


@dataclass(frozen=True)
class Timing:
    """One engine on one network.

    Attributes:
        open_s: reading, and compiling or building, once, seconds.
        run_ms: median of a full batch, milliseconds.
        difference: largest difference of any output from ONNX Runtime's.
    """

    name: EngineChoice
    open_s: float
    run_ms: float
    difference: float


def list_engines() -> list[Availability]:
    """Every engine Nightjar knows, the automatic one first."""
    found = [_look("openvino", _openvino), _look("onnxruntime", _onnxruntime)]
    best = next((entry.name for entry in found if entry.why_not is None), None)
    found = [
        Availability(entry.name, entry.version, entry.device, entry.why_not, automatic=entry.name == best)
        for entry in found
    ]
    return sorted([*found, _look("tensorrt", _tensorrt)], key=lambda entry: not entry.automatic)


def time_engines(weights: Path, *, threads: int, batch: int, tolerance: float, folder: Path | None) -> list[Timing]:
    """Run a network on every engine that is available here, with the same random batch.

    Raises:
        InvalidCard: an engine cannot read the network.
    """
    from models.engines.onnx_runtime import tensor_shapes

    random = np.random.default_rng(0)
    inputs = {
        name: random.normal(size=(batch, *(size or 1 for size in shape[1:]))).astype(np.float32)
        for name, shape in tensor_shapes(weights)[0].items()
    }
    expected = open_engine(weights, threads=threads, engine="onnxruntime").run(inputs)
    timings = []
    for entry in list_engines():
        if entry.why_not is not None:
            continue
        started = time.monotonic()
        engine = open_engine(
            weights, threads=threads, engine=entry.name, batch=batch, tolerance=tolerance, folder=folder
        )
        opened = time.monotonic()
        given = engine.run(inputs)
        taken = []
        for _ in range(RUNS):
            begun = time.monotonic()
            engine.run(inputs)
            taken.append(time.monotonic() - begun)
        difference = max(float(np.abs(given[name] - values).max()) for name, values in expected.items())
        timings.append(Timing(entry.name, opened - started, median(taken) * 1000, difference))
    return timings


def _look(name: EngineChoice, look: Callable[[], tuple[str, str]]) -> Availability:
    try:
        version, device = look()
    except ModelError as error:
        return Availability(name, None, None, str(error))
    return Availability(name, version, device, None)


def _openvino() -> tuple[str, str]:
    from models.engines import openvino

    return openvino.version(), openvino.processor()


def _onnxruntime() -> tuple[str, str]:
    try:
        from models.engines import onnx_runtime
    except ImportError as error:
        raise MissingEngine("ONNX Runtime cannot be loaded here.") from error
    return onnx_runtime.version(), platform.machine()


def _tensorrt() -> tuple[str, str]:
    from models.engines import cuda, tensorrt

    version = tensorrt.version()
    gpu = cuda.device()
    return version, f"{gpu.name}, compute capability {gpu.capability}"
