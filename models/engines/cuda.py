"""The CUDA driver, by ctypes: which GPU there is, and memory on it. Needs the driver alone, no toolkit.

Source: CUDA Driver API, NVIDIA, 12 and 13 (libcuda.so.1).
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import EngineFailure, MissingEngine, OutOfMemory

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY


@dataclass(frozen=True)
class Device:
    """The first GPU this process may use."""

    name: str
    capability: str


class Memory:
    """Memory on the GPU, freed with the object."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.address = ctypes.c_uint64()
        _call("cuMemAlloc_v2", ctypes.byref(self.address), ctypes.c_size_t(size))

    def write(self, array: NDArray[np.float32]) -> None:
        _call("cuMemcpyHtoD_v2", self.address, array.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(array.nbytes))

    def read(self, shape: Sequence[int]) -> NDArray[np.float32]:
        array = np.empty(tuple(shape), np.float32)
        _call("cuMemcpyDtoH_v2", array.ctypes.data_as(ctypes.c_void_p), self.address, ctypes.c_size_t(array.nbytes))
        return array

    def __del__(self) -> None:
        if self.address:
            _driver().cuMemFree_v2(self.address)


def device() -> Device:
    """The GPU.

    Raises:
        MissingEngine: there is no driver, or no GPU; the sentence says which.
    """
    handle = _device_handle()
    name = ctypes.create_string_buffer(256)
    _call("cuDeviceGetName", name, len(name), handle)
    numbers = []
    for attribute in (_MAJOR, _MINOR):
        number = ctypes.c_int()
        _call("cuDeviceGetAttribute", ctypes.byref(number), attribute, handle)
        numbers.append(number.value)
    return Device(name.value.decode(), ".".join(map(str, numbers)))


def enter() -> None:
    """Make the GPU's primary context this thread's; calls from a thread without one fail."""
    context = ctypes.c_void_p()
    _call("cuDevicePrimaryCtxRetain", ctypes.byref(context), _device_handle())
    _call("cuCtxSetCurrent", context)


def new_stream() -> int:
    stream = ctypes.c_void_p()
    _call("cuStreamCreate", ctypes.byref(stream), 1)
    return int(stream.value or 0)


def wait(stream: int) -> None:
    _call("cuStreamSynchronize", ctypes.c_void_p(stream))


@cache
def _driver() -> Any:
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise MissingEngine("There is no NVIDIA driver here (libcuda.so.1).") from error


@cache
def _device_handle() -> ctypes.c_int:
    handle = ctypes.c_int()
    if _driver().cuInit(0) != 0 or _driver().cuDeviceGet(ctypes.byref(handle), 0) != 0:
        raise MissingEngine("The NVIDIA driver sees no GPU.")
    return handle


def _call(function: str, *arguments: Any) -> None:
    status = getattr(_driver(), function)(*arguments)
    if status == _OUT_OF_MEMORY:
        raise OutOfMemory(f"The GPU has not enough memory ({function}).")
    if status != 0:
        raise EngineFailure(f"The GPU did not do what it was asked ({function}: CUDA error {status}).")
