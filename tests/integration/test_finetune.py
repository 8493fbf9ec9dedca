"""A version goes on learning: its ONNX is the same network in torch, and what comes out can be added."""

import itertools
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from support.diffusion_head import Sphere, head

from load_tests.small_networks import small_network, write_version
from models.adding import add_model
from models.card import Card
from models.engines import open_engine
from models.errors import InvalidCard
from models.finetune.labelled import Labelled, Lessons
from models.finetune.run import TooLittle, finetune
from models.registry import load_card, weights_of
from models.shelf import Shelf
from models.training import Plan
from models.unet.weights import read_network

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


def same_network(weights: Path, shape: tuple[int, ...]) -> bool:
    """Whether torch gives what the engine gives, with nothing but weights and biases."""
    network = read_network(weights).eval()
    slices = np.random.default_rng(5).normal(0, 0.7, (2, *shape)).astype(np.float32)
    with torch.no_grad():
        ours = network(torch.from_numpy(slices)).numpy()
    theirs = open_engine(weights, threads=1).run({"slices": slices})["logits"]
    assert {name.rpartition(".")[2] for name in network.state_dict()} == {"weight", "bias"}
    return bool(np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("model", ["ich", "ais"])
def test_the_shipped_weights_are_the_same_network_in_torch(model: str) -> None:
    card = load_card(model)
    size = card.preprocess.size
    inputs = {"ich": len(card.preprocess.neighbours), "ais": 6}[model]
    assert same_network(weights_of(card), (inputs, size, size))


def test_a_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["slices"], ["logits"])],
        "other",
        [helper.make_tensor_value_info("slices", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph), tmp_path / "other.onnx")
    with pytest.raises(InvalidCard, match=r"other\.onnx holds no down\.0\.shortcut\.weight"):
        read_network(tmp_path / "other.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(InvalidCard, match="cannot be read"):
        read_network(tmp_path / "broken.onnx")


def stroke(seed: int) -> Labelled:
    scanned = head(Sphere((30.0, 10.0 + seed, 5.0), 16.0), seed=seed)
    return Labelled({"DWI": scanned.dwi, "ADC": scanned.adc}, scanned.truth.astype(np.uint8))


def parent(tmp_path: Path) -> tuple[Card, Path]:
    card = write_version("ais", small_network("ais"), tmp_path / "parent", "0.0.1")
    return card, tmp_path / "parent" / card.weights.file


def test_a_fine_tuned_version_says_where_it_comes_from_and_can_be_added(tmp_path: Path) -> None:
    card, weights = parent(tmp_path)
    lessons = Lessons("Strokes of spring", "ab" * 32, (partial(stroke, 0), partial(stroke, 1)), (partial(stroke, 2),))
    steps = itertools.count()
    made = finetune(
        card, weights, lessons, tmp_path / "new", Plan(minutes=3 / 60, batch=2, learning_rate=1e-3),
        version="0.0.2", clock=lambda: float(next(steps)),
    )  # fmt: skip
    assert (made.learned, made.replayed) == (2, 0)
    added = add_model(tmp_path / "new", Shelf(tmp_path / "shelf"))
    assert added == made.card
    assert added.lineage is not None
    assert (added.lineage.parent, added.lineage.parent_sha256) == ("0.0.1", card.weights.sha256)
    assert (added.lineage.release, added.lineage.release_sha256) == ("Strokes of spring", "ab" * 32)
    assert added.weights.sha256 != card.weights.sha256
    assert [entry.on for entry in added.measured] in ([], ["1 studies of the validation split of Strokes of spring"])
    assert "0.0.1" in added.limits[0]
    assert same_network(tmp_path / "new" / added.weights.file, (6, 160, 160))  # and may go on from there


def test_nothing_to_learn_from_leaves_nothing(tmp_path: Path) -> None:
    card, weights = parent(tmp_path)
    plan = Plan(minutes=1)
    with pytest.raises(TooLittle, match="Release more"):
        finetune(card, weights, Lessons("Empty", "ab" * 32, (), ()), tmp_path / "new", plan, version="0.0.2")
    (tmp_path / "pool").mkdir()
    lessons = Lessons("One", "ab" * 32, (partial(stroke, 0),), ())
    with pytest.raises(TooLittle, match="holds no case for training"):
        finetune(card, weights, lessons, tmp_path / "new", plan, version="0.0.2", replay=tmp_path / "pool")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parent", "pool"]
