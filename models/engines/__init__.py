"""Engines run a network; models do not care which. TensorRT takes its place beside ONNX Runtime in `open_engine`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[np.float32]]


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


def open_engine(weights: Path, *, threads: int) -> Engine:
    """The best engine this machine has for an ONNX file.

    Args:
        threads: CPU threads of the engine.

    Raises:
        InvalidCard: the file is not a network any engine can read.
    """
    from models.engines.onnx_runtime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(weights, threads)
