"""From volume to findings with a network that marks what is bright: places, volumes, urgency, and failing visibly."""

from pathlib import Path

import numpy as np
import pytest
from support.cards import plain_ich_card
from support.tiny_network import write_bright_network, write_broken_network, write_threshold_network

from models.card import Card
from models.engines import open_engine
from models.errors import EngineFailure, MissingInput
from models.ich.model import ICHModel, create
from models.prediction import Urgency
from models.volume import Volume

SIZE = 192


@pytest.fixture(scope="module")
def card() -> Card:
    return plain_ich_card()


def marking(card: Card, tmp_path: Path, label: str) -> ICHModel:
    network = write_bright_network(tmp_path / "tiny.onnx", card, marks=card.label(label).value)
    return create(card, open_engine(network, threads=1))


def head(radius_mm: float = 12.0, *, slices: int = 8, bleeding: slice = slice(3, 5)) -> Volume:
    """A 30 HU disc of 80 mm radius; a 90 HU disc of `radius_mm` in some slices, 5 mm apart, tilted."""
    edge, spacing = 220, 0.9
    y, x = np.meshgrid(*[(np.arange(edge) - (edge - 1) / 2) * spacing] * 2, indexing="ij")
    plane = np.where(x**2 + y**2 <= 80**2, 30.0, -1000.0)
    voxels = np.repeat(plane[None], slices, axis=0).astype(np.float32)
    voxels[bleeding, (x - 20) ** 2 + y**2 <= radius_mm**2] = 90.0
    tilt = np.deg2rad(15)
    positions = np.outer(np.arange(slices) * 5.0, [0.0, 0.0, 1.0])
    return Volume(voxels, positions, (1.0, 0.0, 0.0), (0.0, float(np.cos(tilt)), float(-np.sin(tilt))), (spacing,) * 2)


def test_a_bright_disc_is_found_where_it_is_and_as_large_as_it_is(card: Card, tmp_path: Path) -> None:
    volume = head()
    prediction = marking(card, tmp_path, "IPH").predict({"NCCT": volume})
    truth = volume.voxels > 60
    found = prediction.segmentation == card.label("IPH").value
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.93
    (finding,) = prediction.findings
    assert finding.label == "IPH"
    assert finding.volume_ml == pytest.approx(volume.measure_ml(found))
    assert finding.volume_ml == pytest.approx(volume.measure_ml(truth), rel=0.1)
    assert finding.key_slice in (3, 4)
    assert prediction.probabilities["IPH"] == finding.probability > 0.9
    assert prediction.slice_probabilities["IPH"].shape == (8,)
    assert prediction.slice_probabilities["IPH"].argmax() in (3, 4)
    assert max(p for label, p in prediction.probabilities.items() if label != "IPH") < 0.01
    assert prediction.urgency == finding.urgency


def test_without_anything_bright_no_flag_is_raised(card: Card, tmp_path: Path) -> None:
    prediction = marking(card, tmp_path, "IPH").predict({"NCCT": head(bleeding=slice(0, 0))})
    assert prediction.findings == ()
    assert not prediction.segmentation.any()
    assert prediction.urgency is Urgency.STANDARD


def test_what_is_too_small_to_be_a_finding_leaves_no_voxels(card: Card, tmp_path: Path) -> None:
    prediction = marking(card, tmp_path, "SDH").predict({"NCCT": head(4.0, bleeding=slice(3, 4))})
    assert prediction.findings == ()
    assert not prediction.segmentation.any()
    assert prediction.probabilities["SDH"] > 0.5


def test_urgency_follows_the_cards_volumes(card: Card) -> None:
    label = card.label("IPH")
    assert label.urgency.of(label.urgency.immediate_ml) is Urgency.IMMEDIATE
    assert label.urgency.of(label.urgency.immediate_ml - 0.01) is Urgency.URGENT


def test_a_network_that_answers_nonsense_fails_visibly(card: Card, tmp_path: Path) -> None:
    slabs = len(card.preprocess.neighbours)
    nowhere = write_broken_network(tmp_path / "nan.onnx", size=SIZE, slabs=slabs)
    broken = create(card, open_engine(nowhere, threads=1))
    with pytest.raises(EngineFailure, match="no numbers"):
        broken.predict({"NCCT": head()})
    other = write_threshold_network(tmp_path / "classes.onnx", size=SIZE, slabs=slabs, classes=3)
    with pytest.raises(EngineFailure, match="not with its labels"):
        create(card, open_engine(other, threads=1)).predict({"NCCT": head()})
    smaller = write_threshold_network(tmp_path / "small.onnx", size=64, slabs=slabs)
    with pytest.raises(EngineFailure, match="could not run"):
        create(card, open_engine(smaller, threads=1)).predict({"NCCT": head()})


def test_a_missing_role_is_named(card: Card, tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="NCCT"):
        marking(card, tmp_path, "IPH").predict({"CTA": head()})
