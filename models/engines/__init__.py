"""Engines run a network; models do not care which.

"auto" is OpenVINO where it can be loaded, else ONNX Runtime, by measurement: the ICH network 0.1.0 on slices of
8 x 3 x 192 x 192, 2 threads, AMD EPYC with AVX-512, OpenVINO 2026.4.1 against ONNX Runtime 1.31.1, float32 in both.
OpenVINO took 91 to 99 ms a batch, ONNX Runtime 97 to 106 ms; the process held 195 MB against 226 MB, and with 46 slices
in one batch 605 MB against 964 MB. Logits differ by 2e-5. `make bench BENCH=ich` measures it again, on whole studies;
with 0.2.0 on a busy machine OpenVINO took 0.90 of the time on thick slices and 1.15 on thin ones.

"gpu" is TensorRT where it can be used, else ONNX Runtime on CUDA. A GPU is used only where it is asked for: networks
were compiled for TensorRT, and never timed on a GPU.
"""

import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import MissingEngine

Tensors = Mapping[str, NDArray[np.float32]]
EngineChoice = Literal["auto", "onnxruntime", "openvino", "gpu", "tensorrt", "cuda"]
GPU_ENGINES: tuple[EngineChoice, ...] = ("gpu", "tensorrt", "cuda")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Terms:
    """What a card says of its network to engines on a GPU.

    Attributes:
        batch: the largest first axis that will be asked for.
        tolerance: how far an answer in float32 may be from ONNX Runtime's on the CPU.
        half_tolerance: likewise in float16; None: TensorRT runs the network in float32.
        free_axes: smallest, usual and largest size of the last axes, for those that the network leaves free.
    """

    batch: int = 8
    tolerance: float = 1e-3
    half_tolerance: float | None = None
    free_axes: tuple[tuple[int, int, int], ...] = ()


class Engine(Protocol):
    """A network, ready to run."""

    @property
    def name(self) -> str:
        """Which engine, for the record."""

    def run(self, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        """One pass; arrays by the names of the network's inputs and outputs.

        Raises:
            EngineFailure: the engine could not; another try may succeed.
        """


def open_engine(
    weights: Path,
    *,
    threads: int,
    engine: EngineChoice = "auto",
    terms: Terms | None = None,
    folder: Path | None = None,
) -> Engine:
    """An engine with an ONNX file in it.

    Args:
        threads: CPU threads of the engine.
        engine: which one; "auto" is the best of the CPU engines that this machine has, "gpu" of those for its GPU.
        terms: of the card, for a GPU.
        folder: where TensorRT keeps what it builds; without one, each process builds anew.

    Raises:
        InvalidCard: the file is not a network the engine can read.
        MissingEngine: the engine asked for cannot be loaded here; the sentence says why.
    """
    if engine in GPU_ENGINES:
        return _on_gpu(weights, threads, engine, terms or Terms(), folder)
    from models.engines.onnx_runtime import OnnxRuntimeEngine

    if engine == "onnxruntime":
        return OnnxRuntimeEngine(weights, threads)
    try:
        from models.engines.openvino import OpenVINOEngine

        return OpenVINOEngine(weights, threads)
    except MissingEngine:
        if engine == "openvino":
            raise
    return OnnxRuntimeEngine(weights, threads)


def _on_gpu(weights: Path, threads: int, engine: EngineChoice, terms: Terms, folder: Path | None) -> Engine:
    def tensorrt() -> Engine:
        from models.engines.tensorrt import TensorRTEngine

        if folder is not None:
            return TensorRTEngine(weights, terms, folder)
        with tempfile.TemporaryDirectory(prefix="nightjar-engines-") as scratch:
            return TensorRTEngine(weights, terms, Path(scratch))

    def cuda() -> Engine:
        from models.engines.onnx_runtime import OnnxRuntimeEngine

        return OnnxRuntimeEngine(weights, threads, cuda=terms)

    ways: dict[str, Callable[[], Engine]] = {"tensorrt": tensorrt, "cuda": cuda}
    reasons = []
    for name, way in ways.items():
        if engine in ("gpu", name):
            try:
                opened = way()
            except MissingEngine as error:
                reasons.append(str(error))
            else:
                if reasons:
                    logger.warning("%s runs on %s. %s", weights.name, opened.name, " ".join(reasons))
                return opened
    raise MissingEngine(" ".join(reasons))
