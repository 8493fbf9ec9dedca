"""ONNX Runtime on the CPU, or on a GPU by CUDA; the only module that imports it."""

import os
from pathlib import Path

# ONNX Runtime reports sessions to its makers and keeps an identifier below the home directory unless this is set before
# it is loaded; its own disable_telemetry_events() comes too late for both. A hospital's machine calls nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.engines import Tensors, Terms
from models.engines.beside import check_beside
from models.engines.cuda import Device, device
from models.engines.plans import Shapes, profiles_of
from models.errors import EngineFailure, InvalidCard, MissingEngine, OutOfMemory

Providers = tuple[str | tuple[str, dict[str, str]], ...]
CUDA = "CUDAExecutionProvider"
ON_CPU: Providers = ("CPUExecutionProvider",)
ON_CUDA: Providers = ((CUDA, {"use_tf32": "0"}), *ON_CPU)
NO_MEMORY = ("Failed to allocate memory", "bad_alloc", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What ONNX Runtime's arena, C++ and CUDA say; its errors have no class of their own for it."""


def version() -> str:
    """ONNX Runtime's, such as "1.31.1"."""
    return str(onnxruntime.__version__)


def cuda_device() -> Device:
    """The GPU that ONNX Runtime would use.

    Raises:
        MissingEngine: it was installed without CUDA, or there is no driver or GPU.
    """
    if CUDA not in onnxruntime.get_available_providers():
        raise MissingEngine(
            "ONNX Runtime is installed without CUDA: onnxruntime-gpu takes its place where there is a GPU."
        )
    return device()


class OnnxRuntimeEngine:
    """An ONNX file in ONNX Runtime, as float32.

    Args:
        cuda: the card's terms: on the GPU, without TF32, if its answer is the CPU's; None: on the CPU.

    Raises:
        InvalidCard: it is no network, or none that ONNX Runtime can read.
        MissingEngine: there is no CUDA here, or the GPU answers otherwise than the CPU.
    """

    def __init__(self, weights: Path, threads: int, *, cuda: Terms | None = None) -> None:
        self._cuda = cuda is not None
        if self._cuda:
            cuda_device()
            onnxruntime.preload_dlls()
        self._session = _open(weights, threads, ON_CUDA if self._cuda else ON_CPU)
        self._outputs = [output.name for output in self._session.get_outputs()]
        if cuda is not None:
            # It says nothing when CUDA's libraries are not there, and takes the CPU.
            if CUDA not in self._session.get_providers():
                raise MissingEngine("ONNX Runtime found the libraries of CUDA or cuDNN missing or too old.")
            check_beside(
                self, OnnxRuntimeEngine(weights, threads), profiles_of(tensor_shapes(weights)[0], cuda), cuda.tolerance
            )

    @property
    def name(self) -> str:
        return f"onnxruntime {version()} {'CUDA ' if self._cuda else ''}float32"

    def run(self, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        try:
            values = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # as above
            if any(sign in str(error) for sign in NO_MEMORY):
                raise OutOfMemory("ONNX Runtime had not enough memory to run the network.") from error
            raise EngineFailure(f"ONNX Runtime could not run the network ({type(error).__name__}).") from error
        return {name: np.asarray(value, np.float32) for name, value in zip(self._outputs, values, strict=True)}


def tensor_shapes(weights: Path) -> tuple[Shapes, Shapes]:
    """The shapes of a network's inputs and of its outputs by name; None where an axis is free.

    Raises:
        InvalidCard: the file is no network, or reads or writes something else than float32.
    """
    session = _open(weights, 1)
    tensors = [*session.get_inputs(), *session.get_outputs()]
    if any(tensor.type != "tensor(float)" for tensor in tensors):
        raise InvalidCard(f"{weights.name} reads or writes something else than float32.")
    inputs, outputs = (
        {tensor.name: tuple(size if isinstance(size, int) else None for size in tensor.shape) for tensor in group}
        for group in (session.get_inputs(), session.get_outputs())
    )
    return inputs, outputs


def _open(weights: Path, threads: int, providers: Providers = ON_CPU) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads would eat the cores of the listener and the workers between two studies.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(weights, options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's errors share no base but Exception
        raise InvalidCard(f"{weights.name} is not a network that ONNX Runtime can read.") from error
