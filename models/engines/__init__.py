"""Engines run a network; models do not care which.

"auto" is OpenVINO where it can be loaded, else ONNX Runtime, by measurement: the ICH network 0.1.0 on slices of
8 x 3 x 192 x 192, 2 threads, AMD EPYC with AVX-512, OpenVINO 2026.4.1 against ONNX Runtime 1.31.1, float32 in both.
OpenVINO took 91 to 99 ms a batch, ONNX Runtime 97 to 106 ms; the process held 195 MB against 226 MB, and with 46 slices
in one batch 605 MB against 964 MB. Logits differ by 2e-5. `make bench BENCH=ich` measures it again, on whole studies;
with 0.2.0 on a busy machine OpenVINO took 0.90 of the time on thick slices and 1.15 on thin ones. TensorRT is
taken only when it is asked for: networks were compiled with it, and never timed on a GPU.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import MissingEngine

Tensors = Mapping[str, NDArray[np.float32]]
EngineChoice = Literal["auto", "onnxruntime", "openvino", "tensorrt"]
GPU_ENGINES: tuple[EngineChoice, ...] = ("tensorrt",)


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
    batch: int = 8,
    tolerance: float = 1e-3,
    folder: Path | None = None,
) -> Engine:
    """An engine with an ONNX file in it.

    Args:
        threads: CPU threads of the engine.
        engine: which one; "auto" is the best of the CPU engines that this machine has.
        batch, tolerance: of the card, for TensorRT: the largest batch it builds for, and how far its answer may differ.
        folder: where TensorRT keeps what it builds; without one, each process builds anew.

    Raises:
        InvalidCard: the file is not a network the engine can read.
        MissingEngine: the engine asked for cannot be loaded here.
    """
    if engine == "tensorrt":
        from models.engines.tensorrt import TensorRTEngine

        if folder is not None:
            return TensorRTEngine(weights, batch=batch, tolerance=tolerance, folder=folder)
        with tempfile.TemporaryDirectory(prefix="nightjar-engines-") as scratch:
            return TensorRTEngine(weights, batch=batch, tolerance=tolerance, folder=Path(scratch))
    if engine != "onnxruntime":
        try:
            from models.engines.openvino import OpenVINOEngine

            return OpenVINOEngine(weights, threads)
        except MissingEngine:
            if engine == "openvino":
                raise
    from models.engines.onnx_runtime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(weights, threads)
