"""OpenVINO on the CPU; the only module that imports it."""

import sys
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from models.engines import Tensors
from models.errors import EngineFailure, InvalidCard, MissingEngine, OutOfMemory

# Importing OpenVINO imports its model converter, which writes below the home directory and reports the import to its
# makers. A hospital's machine calls nobody: the converter is locked away, and OpenVINO does without it.
sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]
try:
    import openvino
    from openvino.frontend import FrontEndManager
except ImportError as error:
    raise MissingEngine("OpenVINO cannot be loaded here. Install it, or choose the engine onnxruntime.") from error

_OPTIONS = {
    # Where the processor has bfloat16 it would be used otherwise: twice as fast, and logits off by 0.1.
    "INFERENCE_PRECISION_HINT": "f32",
    "PERFORMANCE_HINT": "LATENCY",
    # Pinned threads of two replicas would share the same cores.
    "ENABLE_CPU_PINNING": False,
}


def version() -> str:
    """OpenVINO's, such as "2026.4.1"."""
    return str(openvino.__version__.split("-")[0])


@cache
def _core() -> openvino.Core:
    """The process's one and only: never freed.

    Each that is made gives its thread another stack for signals and takes it back when it is freed, and of two that
    overlap the one freed last sets that of the other, long unmapped: the next signal would kill the process.
    """
    return openvino.Core()


def processor() -> str:
    """The processor's name, as OpenVINO sees it."""
    return str(_core().get_property("CPU", "FULL_DEVICE_NAME"))


class OpenVINOEngine:
    """An ONNX file in OpenVINO, as float32, its batch as free as the file leaves it; nothing is cached on disk."""

    def __init__(self, weights: Path, threads: int) -> None:
        try:
            reader = FrontEndManager().load_by_framework("onnx")
            network = reader.convert(reader.load(str(weights)))
            # Before compiling, which gives a tensor the names of others too.
            self._inputs = {tensor.any_name: tensor.get_partial_shape() for tensor in network.inputs}
            self._outputs = [tensor.any_name for tensor in network.outputs]
            options = {**_OPTIONS, "INFERENCE_NUM_THREADS": threads}
            self._request = _core().compile_model(network, "CPU", options).create_infer_request()
        except Exception as error:  # OpenVINO's errors share no base but Exception
            raise InvalidCard(f"{weights.name} is not a network that OpenVINO can read.") from error
        if not self._outputs:
            raise InvalidCard(f"{weights.name} is not a network that OpenVINO can read: it is empty.")
        self._lock = Lock()  # one request runs one input at a time

    @property
    def name(self) -> str:
        return f"openvino {version()} float32"

    def run(self, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        # OpenVINO would take an input that is not given for the last one, convert types and cut to size.
        if set(inputs) != set(self._inputs) or not all(self._fits(name, array) for name, array in inputs.items()):
            raise EngineFailure("OpenVINO could not run the network (its inputs have other names, types or sizes).")
        try:
            with self._lock:
                values = self._request.infer(dict(inputs), share_outputs=False)
        except Exception as error:  # as above
            if isinstance(error, MemoryError) or "bad_alloc" in str(error):
                raise OutOfMemory("OpenVINO had not enough memory to run the network.") from error
            raise EngineFailure(f"OpenVINO could not run the network ({type(error).__name__}).") from error
        answer = {name: np.asarray(values[index], np.float32) for index, name in enumerate(self._outputs)}
        # Seen of 2026.4 in a process out of address space: no error, and the answer to an earlier, smaller batch.
        if any(len(array) != len(next(iter(inputs.values()))) for array in answer.values()):
            raise OutOfMemory("OpenVINO had not enough memory to run the network.")
        return answer

    def _fits(self, name: str, array: NDArray[np.float32]) -> bool:
        shape = openvino.PartialShape(list(array.shape))
        return array.dtype == np.float32 and bool(self._inputs[name].compatible(shape))
