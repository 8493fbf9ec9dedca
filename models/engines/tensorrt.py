"""TensorRT on an NVIDIA GPU; the only module that imports it. TensorRT for RTX has the same interface and will do.

A plan is built from the ONNX file when a model is first opened and kept (`plans`): in float16 where the card says how
far answers may then differ, else in float32 without TF32. The network is strongly typed, and written in float16 for it
(`half`). Before an engine is used it answers one input beside ONNX Runtime (`beside`).
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.engines import Tensors, Terms, cuda
from models.engines.beside import check_beside
from models.engines.half import in_half
from models.engines.plans import PlanCache, PlanKey, Profile, Tell, profiles_of
from models.errors import EngineFailure, InvalidCard, MissingEngine, OutOfMemory

PACKAGES = ("tensorrt", "tensorrt_rtx")
TIMED = "tensorrt"
"""The package whose builds measure on the GPU; TensorRT for RTX leaves that to the first run."""

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


def build_plan(
    onnx: bytes,
    profiles: Mapping[str, Profile],
    capability: str | None = None,
    *,
    tell: Tell | None = None,
    timings: bytes = b"",
    keep: Callable[[bytes], None] | None = None,
) -> bytes:
    """Compile a network, in the types that it has.

    Args:
        profiles: by name of the network's input.
        capability: build for another GPU than this machine's, such as "8.9" (TensorRT for RTX only; needs no GPU).
        tell: hears how far the build is.
        timings, keep: what an earlier build measured on this kind of GPU, and who keeps what this one did.

    Raises:
        InvalidCard: TensorRT cannot read or compile the network.
        MissingEngine: the library cannot build for that GPU from here.
    """
    trt = library()
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
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
    if tell is not None:
        config.progress_monitor = monitor = _monitor(trt, tell)  # noqa: F841 - it must outlive the build
    timed = trt.__name__ == TIMED and keep is not None
    if timed:
        _recall(config, timings)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise InvalidCard("TensorRT could not compile the network; its own words are on standard error.")
    if timed and keep is not None:
        keep(bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def _recall(config: Any, timings: bytes) -> None:
    """Give a build what was measured before; what this library or GPU does not take is measured anew."""
    found = config.create_timing_cache(timings)
    if found is None or not config.set_timing_cache(found, False):
        logger.warning("TensorRT does not take its timing cache; it measures anew.")
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _monitor(trt: Any, tell: Tell) -> Any:
    """What TensorRT reports its progress to; only its outermost phases are told."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self._steps[phase_name] = max(1, num_steps)
                tell(phase_name, 0.0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self._steps:
                tell(phase_name, min(1.0, (step + 1) / self._steps[phase_name]))
            return True

        def phase_finish(self, phase_name: str) -> None:
            if self._steps.pop(phase_name, None) is not None:
                tell(phase_name, 1.0)

    return Monitor()


class TensorRTEngine:
    """An ONNX file in TensorRT.

    Args:
        terms: of the card.
        folder: where plans are kept.

    Raises:
        MissingEngine: no library, no driver, no GPU, or answers that differ.
        InvalidCard: TensorRT cannot read or compile the network.
    """

    def __init__(self, weights: Path, terms: Terms, folder: Path) -> None:
        from models.engines.onnx_runtime import OnnxRuntimeEngine, tensor_shapes

        trt, gpu = library(), cuda.device()
        onnx = weights.read_bytes()
        profiles = profiles_of(tensor_shapes(weights)[0], terms)
        self._precision = "fp32" if terms.half_tolerance is None else "fp16"
        key = PlanKey(hashlib.sha256(onnx).hexdigest(), version(), gpu.capability, self._precision, profiles)
        plans = PlanCache(folder)

        def build(tell: Tell) -> bytes:
            network = onnx if terms.half_tolerance is None else in_half(onnx)
            keep = partial(plans.keep_timings, key)
            return build_plan(network, profiles, tell=tell, timings=plans.timings(key), keep=keep)

        cuda.enter()
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = open_plan(plans, key, build, runtime)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise OutOfMemory("TensorRT had not enough memory on the GPU to open the network.")
        self._stream, self._lock, self._memory = cuda.new_stream(), Lock(), dict[str, cuda.Memory]()
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        self._outputs = [name for name in names if name not in profiles]
        self._profiles = profiles
        check_beside(self, OnnxRuntimeEngine(weights, 1), profiles, terms.half_tolerance or terms.tolerance)

    @property
    def name(self) -> str:
        return f"{version()} {self._precision}"

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


def open_plan(cache_: PlanCache, key: PlanKey, build: Callable[[Tell], bytes], runtime: Any) -> Any:
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
