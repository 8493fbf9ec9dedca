"""TensorRT for RTX as far as it goes without a GPU: it reads and compiles every committed network, ahead of time.

The package is NVIDIA's, and large, and no dependency of Nightjar's: `pip install tensorrt-rtx` lets these run. The last
test needs a GPU as well.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from support.tiny_network import write_threshold_network

from models.card import Card
from models.engines import Terms, cuda, open_engine, tensorrt
from models.engines.half import in_half
from models.engines.onnx_runtime import tensor_shapes
from models.engines.plans import PlanCache, PlanKey, Tell, profiles_of
from models.errors import InvalidCard, MissingEngine
from models.registry import list_models, weights_of

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")

SIZES = ("smallest", "usual")
NETWORKS = [card for card in list_models() if weights_of(card).suffix == ".onnx"]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("capability", ["8.9", "12.0"])
@pytest.mark.parametrize("card", NETWORKS, ids=lambda card: card.name)
def test_every_committed_network_is_compiled_with_its_cards_profile(
    card: Card, capability: str, precision: str, tmp_path: Path
) -> None:
    onnx = weights_of(card).read_bytes()
    network = in_half(onnx) if precision == "fp16" else onnx
    profiles = profiles_of(tensor_shapes(weights_of(card))[0], card.terms)
    key = PlanKey(hashlib.sha256(onnx).hexdigest(), tensorrt.version(), capability, precision, profiles)
    built = []

    def build(tell: Tell) -> bytes:
        built.append(tensorrt.build_plan(network, profiles, capability, tell=tell))
        return built[-1]

    for _ in range(2):
        plan = PlanCache(tmp_path).get(key, build)
    assert len(built) == 1
    assert plan == built[0]
    assert len(plan) > len(network) / 4


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(InvalidCard, match="TensorRT cannot read the network"):
        tensorrt.build_plan(b"no network", {})


def test_a_gpu_that_cannot_be_built_for_from_here_is_named(tmp_path: Path) -> None:
    network = write_threshold_network(tmp_path / "tiny.onnx", size=8)
    profiles = profiles_of(tensor_shapes(network)[0], Terms(batch=2))
    with pytest.raises(MissingEngine, match=r"ahead of time for compute capability 9\.0"):
        tensorrt.build_plan(network.read_bytes(), profiles, "9.0")


def test_on_a_gpu_the_answer_is_onnx_runtimes(tmp_path: Path) -> None:
    try:
        cuda.device()
    except MissingEngine as error:
        pytest.skip(str(error))
    for card in NETWORKS:
        profiles = profiles_of(tensor_shapes(weights_of(card))[0], card.terms)
        random = np.random.default_rng(1)
        for shapes in ({name: getattr(profile, size) for name, profile in profiles.items()} for size in SIZES):
            inputs = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
            given, expected = (
                open_engine(weights_of(card), threads=2, engine=engine, terms=card.terms, folder=tmp_path).run(inputs)
                for engine in ("tensorrt", "onnxruntime")
            )
            for name, values in expected.items():
                assert np.abs(given[name] - values).max() <= (card.half_tolerance or card.tolerance)
