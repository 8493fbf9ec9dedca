"""A stand-in of TensorRT's Python binding and of CUDA's memory: the calls, names and refusals that Nightjar relies on,
as NVIDIA documents them for TensorRT 10. A plan is the network itself, which ONNX Runtime runs on the CPU.
"""

import ctypes
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.engines.cuda import Device

PLAN = b"plan of the stand-in\n"
PHASES = (("Building the engine", None, 4), ("Choosing kernels", "Building the engine", 9))
MEASURED = b"measured once"


class Flag(IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(IntEnum):
    TF32 = 6


class ProgressMonitor:
    """Of which ours is a subclass; the binding refuses one whose __init__ was not called."""

    def __init__(self) -> None:
        self.made = True


class TimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return self.content


class Config:
    def __init__(self, log: list[str]) -> None:
        self.log, self.progress_monitor, self._cache = log, None, TimingCache(b"")
        self.tf32, self.profiles = True, 0

    def clear_flag(self, flag: BuilderFlag) -> None:
        assert flag is BuilderFlag.TF32
        self.tf32 = False

    def add_optimization_profile(self, profile: dict[str, Any]) -> int:
        self.profiles += 1
        return 0

    def create_timing_cache(self, content: bytes) -> TimingCache | None:
        return None if content.startswith(b"garbage") else TimingCache(content)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if cache.content.startswith(b"other GPU"):
            return False
        self._cache = cache
        return True

    def get_timing_cache(self) -> TimingCache:
        return self._cache


class Builder:
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def create_network(self, flags: int) -> SimpleNamespace:
        assert flags == 1 << Flag.STRONGLY_TYPED
        return SimpleNamespace(onnx=b"")

    def create_builder_config(self) -> Config:
        return Config(self.log)

    def create_optimization_profile(self) -> Any:
        shapes: dict[str, Any] = {}
        return SimpleNamespace(set_shape=lambda name, *sizes: shapes.update({name: sizes}))

    def build_serialized_network(self, network: SimpleNamespace, config: Config) -> bytes:
        assert config.profiles == 1
        assert not config.tf32
        self.log.append(f"built with {config.get_timing_cache().content!r}")
        config.set_timing_cache(TimingCache(MEASURED), False)
        monitor = config.progress_monitor
        assert monitor.made
        for name, parent, steps in PHASES:
            monitor.phase_start(name, parent, steps)
            assert all(monitor.step_complete(name, step) for step in range(steps))
            monitor.phase_finish(name)
        return PLAN + network.onnx


class Parser:
    def __init__(self, network: SimpleNamespace, log: list[str]) -> None:
        self._network = network

    def parse(self, onnx: bytes) -> bool:
        self._network.onnx = onnx
        return True


class Context:
    """Reads and writes memory by its address, as execute_async_v3 does."""

    def __init__(self, onnx: bytes) -> None:
        self._session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        self.inputs = [tensor.name for tensor in self._session.get_inputs()]
        self.outputs = [tensor.name for tensor in self._session.get_outputs()]
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._at: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        zeros = {name: np.zeros(self._shapes[name], np.float32) for name in self.inputs}
        return tuple(self._session.run([name], zeros)[0].shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._at[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        given = {name: _array(self._at[name], self._shapes[name]).copy() for name in self.inputs}
        for name, values in zip(self.outputs, self._session.run(self.outputs, given), strict=True):
            _array(self._at[name], values.shape)[...] = values
        return True


class Runtime:
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        if not plan.startswith(PLAN):
            return None
        context = Context(plan.removeprefix(PLAN))
        names = [*context.inputs, *context.outputs]
        return SimpleNamespace(
            num_io_tensors=len(names), get_tensor_name=names.__getitem__, create_execution_context=lambda: context
        )


class Memory:
    """The GPU's, in the computer's."""

    def __init__(self, size: int) -> None:
        self.size, self._bytes = size, ctypes.create_string_buffer(size)
        self.address = ctypes.c_uint64(ctypes.addressof(self._bytes))

    def write(self, array: NDArray[np.float32]) -> None:
        ctypes.memmove(self._bytes, array.ctypes.data, array.nbytes)

    def read(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return _array(self.address.value, shape).copy()


def binding(log: list[str], version: str = "10.13.3") -> Any:
    """The module; what it builds is noted in the log."""
    return SimpleNamespace(
        __name__="tensorrt", __version__=version, NetworkDefinitionCreationFlag=Flag, BuilderFlag=BuilderFlag,
        Logger=type("Logger", (), {"ERROR": 1, "__new__": lambda _, __: log}), Builder=Builder, OnnxParser=Parser,
        Runtime=Runtime, IProgressMonitor=ProgressMonitor,
    )  # fmt: skip


def driver(capability: str = "9.0") -> Any:
    """What `models.engines.cuda` offers."""
    return SimpleNamespace(
        device=lambda: Device("Stand-in", capability), enter=lambda: None, Memory=Memory, new_stream=lambda: 1,
        wait=lambda _: None,
    )  # fmt: skip


def _array(address: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    count = int(np.prod(shape))
    return np.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)
