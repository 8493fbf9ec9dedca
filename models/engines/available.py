"""What can run networks on this machine, why the rest cannot, and how fast each is here."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from models.engines import EngineChoice, Terms, open_engine
from models.errors import MissingEngine, ModelError

RUNS = 5
Looks = dict[EngineChoice, Callable[[], tuple[str, str]]]


@dataclass(frozen=True)
class Availability:
    """One engine.

    Attributes:
        version: None when it is not there.
        device: what it runs on.
        why_not: a sentence when it cannot be used.
        automatic: whether `auto`, or for a GPU `gpu`, is this one.
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
    """Every engine Nightjar knows, those for the CPU and then those for a GPU, the automatic one of each first."""
    on_cpu: Looks = {"openvino": _openvino, "onnxruntime": _onnxruntime}
    on_gpu: Looks = {"tensorrt": _tensorrt, "cuda": _cuda}
    found = []
    for group in (on_cpu, on_gpu):
        entries = [_look(name, look) for name, look in group.items()]
        best = next((entry for entry in entries if entry.why_not is None), None)
        entries = [replace(entry, automatic=entry is best) for entry in entries]
        found += sorted(entries, key=lambda entry: not entry.automatic)
    return found


def time_engines(weights: Path, *, threads: int, terms: Terms, folder: Path | None) -> list[Timing]:
    """Run a network on every engine that is available here, with the same random batch.

    Raises:
        InvalidCard: an engine cannot read the network.
    """
    from models.engines.onnx_runtime import tensor_shapes
    from models.engines.plans import profiles_of

    random = np.random.default_rng(0)
    inputs = {
        name: random.normal(size=profile.usual).astype(np.float32)
        for name, profile in profiles_of(tensor_shapes(weights)[0], terms).items()
    }
    expected = open_engine(weights, threads=threads, engine="onnxruntime").run(inputs)
    timings = []
    for entry in list_engines():
        if entry.why_not is not None:
            continue
        started = time.monotonic()
        engine = open_engine(weights, threads=threads, engine=entry.name, terms=terms, folder=folder)
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


def _cuda() -> tuple[str, str]:
    version, _ = _onnxruntime()
    from models.engines import onnx_runtime

    gpu = onnx_runtime.cuda_device()
    return version, f"{gpu.name}, compute capability {gpu.capability}"
