"""TensorRT in a process of its own, which no other test shares with NVIDIA's library."""

import hashlib
from pathlib import Path

import numpy as np
from support.tiny_network import write_threshold_network

from models.engines import Terms, cuda, open_engine, tensorrt
from models.engines.half import in_half
from models.engines.onnx_runtime import tensor_shapes
from models.engines.plans import PlanCache, PlanKey, Tell, profiles_of
from models.registry import load_card, weights_of

SIZES = ("smallest", "usual")


def compile_twice(model: str, capability: str, precision: str, cache: Path) -> tuple[int, bool, float]:
    """How often a plan was built, whether the cache gives it, and its size as a share of the network's."""
    card = load_card(model)
    onnx = weights_of(card).read_bytes()
    network = in_half(onnx) if precision == "fp16" else onnx
    profiles = profiles_of(tensor_shapes(weights_of(card))[0], card.terms)
    key = PlanKey(hashlib.sha256(onnx).hexdigest(), tensorrt.version(), capability, precision, profiles)
    built: list[bytes] = []

    def build(tell: Tell) -> bytes:
        built.append(tensorrt.build_plan(network, profiles, capability, tell=tell))
        return built[-1]

    plans = [PlanCache(cache).get(key, build) for _ in range(2)]
    return len(built), plans == [built[0]] * 2, len(built[0]) / len(network)


def compile_content(content: bytes) -> None:
    """Build a plan of what need not be a network."""
    tensorrt.build_plan(content, {})


def compile_tiny(capability: str, scratch: Path) -> None:
    """Build a plan of a tiny network."""
    network = write_threshold_network(scratch / "tiny.onnx", size=8)
    tensorrt.build_plan(network.read_bytes(), profiles_of(tensor_shapes(network)[0], Terms(batch=2)), capability)


def furthest_from_onnx_runtime(model: str, cache: Path) -> float:
    """Largest difference on a GPU, in units of the card's tolerance.

    Raises:
        MissingEngine: there is no GPU.
    """
    cuda.device()
    card = load_card(model)
    profiles = profiles_of(tensor_shapes(weights_of(card))[0], card.terms)
    random, furthest = np.random.default_rng(1), 0.0
    for shapes in ({name: getattr(profile, size) for name, profile in profiles.items()} for size in SIZES):
        inputs = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        given, expected = (
            open_engine(weights_of(card), threads=2, engine=engine, terms=card.terms, folder=cache).run(inputs)
            for engine in ("tensorrt", "onnxruntime")
        )
        furthest = max(furthest, *(float(np.abs(given[name] - values).max()) for name, values in expected.items()))
    return furthest / (card.half_tolerance or card.tolerance)
