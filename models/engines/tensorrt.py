"""TensorRT on an NVIDIA GPU; the only module that imports it. TensorRT for RTX has the same interface and will do.

A plan is built from the ONNX file when a model is first opened, in float32 without TF32, and kept (`plans`). Before an
engine is used it answers one input beside ONNX Runtime; one that differs by more than the card's tolerance is refused.
"""

import hashlib
import logging
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.engines import Tensors, cuda
from models.engines.plans import PlanCache, PlanKey, Profile
from models.errors import EngineFailure, InvalidCard, MissingEngine, OutOfMemory

PACKAGES = ("tensorrt", "tensorrt_rtx")
PRECISION = "fp32"

logger = logging.getLogger(__name__)


@cache
def library() -> Any:
    """The package that is installed.

    Raises:
        MissingEngine: neither can be loaded.
    """
    for name in PACKAGES:
        try:
            module = import_module(name)
        except ImportError:
            continue
        if hasattr(module, "Builder"):  # the full package without its libraries is an empty shell
            return module
    raise MissingEngine(f"Neither {' nor '.join(PACKAGES)} can be loaded here.")


def version() -> str:
    """Name and version of the library, such as "tensorrt_rtx 1.3.0"."""
    return f"{library().__name__} {library().__version__}"


def build_plan(onnx: bytes, profiles: Mapping[str, Profile], capability: str | None = None) -> bytes:
    """Compile a network.

    Args:
        profiles: by name of the network's input.
        capability: build for another GPU than this machine's, such as "8.9" (TensorRT for RTX only; needs no GPU).

    Raises:
        InvalidCard: TensorRT cannot read or compile the network.
        MissingEngine: the library cannot build for that GPU from here.
    """
    trt = library()
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    if not parser.parse(onnx):
        raise InvalidCard(f"TensorRT cannot read the network: {parser.get_error(0).desc() or 'no reason given'}.")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    shapes = builder.create_optimization_profile()
    for name, profile in profiles.items():
        shapes.set_shape(name, profile.smallest, profile.usual, profile.largest)
    config.add_optimization_profile(shapes)
    if capability is not None:
        target = getattr(getattr(trt, "ComputeCapability", None), f"SM{capability.replace('.', '')}", None)
        if target is None:
            raise MissingEngine(f"{version()} builds nothing ahead of time for compute capability {capability}.")
        config.num_compute_capabilities = 1
        config.set_compute_capability(target, 0)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise InvalidCard("TensorRT could not compile the network; its own words are on standard error.")
    return bytes(plan)


def profiles_of(shapes: Mapping[str, tuple[int | None, ...]], batch: int) -> dict[str, Profile]:
    """Shapes from 1 to `batch` in the first axis; `shapes` by the network's inputs, None where an axis is free.

    Raises:
        InvalidCard: an axis other than the first is free.
    """
    for name, shape in shapes.items():
        if any(size is None for size in shape[1:]):
            raise InvalidCard(f"TensorRT needs fixed sizes; the network's input {name} leaves some free.")
    return {
        name: Profile((1, *sizes), (batch, *sizes), (batch, *sizes))
        for name, shape in shapes.items()
        for sizes in [tuple(int(size or 0) for size in shape[1:])]
    }


class TensorRTEngine:
    """An ONNX file in TensorRT.

    Args:
        batch: the largest first axis that will be asked for.
        tolerance: largest difference from ONNX Runtime's answer.
        folder: where plans are kept.

    Raises:
        MissingEngine: no library, no driver, no GPU, or answers that differ.
        InvalidCard: TensorRT cannot read or compile the network.
    """

    def __init__(self, weights: Path, *, batch: int, tolerance: float, folder: Path) -> None:
        from models.engines.onnx_runtime import OnnxRuntimeEngine, tensor_shapes

        trt, gpu = library(), cuda.device()
        onnx = weights.read_bytes()
        profiles = profiles_of(tensor_shapes(weights)[0], batch)
        key = PlanKey(hashlib.sha256(onnx).hexdigest(), version(), gpu.capability, PRECISION, profiles)
        cuda.enter()
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = open_plan(PlanCache(folder), key, lambda: build_plan(onnx, profiles), runtime)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise OutOfMemory("TensorRT had not enough memory on the GPU to open the network.")
        self._stream, self._lock, self._memory = cuda.new_stream(), Lock(), dict[str, cuda.Memory]()
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        self._outputs = [name for name in names if name not in profiles]
        self._profiles = profiles
        _compare(self, OnnxRuntimeEngine(weights, 1), profiles, tolerance)

    @property
    def name(self) -> str:
        return f"{version()} {PRECISION}"

    def run(self, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        if inputs.keys() != self._profiles.keys() or not all(
            array.dtype == np.float32 and _fits(array.shape, self._profiles[name]) for name, array in inputs.items()
        ):
            raise EngineFailure("TensorRT could not run the network (its inputs have other names, types or sizes).")
        with self._lock:
            cuda.enter()
            for name, array in inputs.items():
                self._context.set_input_shape(name, array.shape)
                self._bind(name, array.nbytes).write(np.ascontiguousarray(array))
            shapes = {name: tuple(self._context.get_tensor_shape(name)) for name in self._outputs}
            for name, shape in shapes.items():
                self._bind(name, 4 * int(np.prod(shape)))
            if not self._context.execute_async_v3(self._stream):
                raise EngineFailure("TensorRT could not run the network.")
            cuda.wait(self._stream)
            return {name: self._memory[name].read(shape) for name, shape in shapes.items()}

    def _bind(self, name: str, size: int) -> cuda.Memory:
        """Memory for a tensor, kept from call to call while it is large enough."""
        memory = self._memory.get(name)
        if memory is None or memory.size < size:
            memory = self._memory[name] = cuda.Memory(size)
        self._context.set_tensor_address(name, memory.address.value)
        return memory


def open_plan(cache_: PlanCache, key: PlanKey, build: Any, runtime: Any) -> Any:
    """The engine of a cached plan; one that the library does not take is built anew, once.

    Raises:
        InvalidCard: the library does not take what it has just built.
    """
    for _ in range(2):
        engine = runtime.deserialize_cuda_engine(cache_.get(key, build))
        if engine is not None:
            return engine
        logger.warning("TensorRT does not take %s; it is built anew.", key.file_name)
        cache_.drop(key)
    raise InvalidCard("TensorRT does not take the plan that it built; its own words are on standard error.")


def _fits(shape: tuple[int, ...], profile: Profile) -> bool:
    return len(shape) == len(profile.largest) and all(
        low <= size <= high for low, size, high in zip(profile.smallest, shape, profile.largest, strict=True)
    )


def _compare(engine: TensorRTEngine, reference: Any, profiles: Mapping[str, Profile], tolerance: float) -> None:
    random = np.random.default_rng(0)
    inputs = {name: random.normal(size=profile.smallest).astype(np.float32) for name, profile in profiles.items()}
    given, expected = engine.run(inputs), reference.run(inputs)
    worst = max(float(np.abs(given[name] - values).max()) for name, values in expected.items())
    if not worst <= tolerance:
        raise MissingEngine(
            f"TensorRT's answer differs from ONNX Runtime's by {worst:.2g}, and the card allows {tolerance:g}. Choose "
            "the engine onnxruntime or openvino."
        )
