"""From probabilities to voxels and findings: limits are reached or not, and specks go."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from support.cards import plain_ich_card

from models.card import Card
from models.ich.maps import Maps
from models.ich.postprocess import SMALLEST_ML, Reading, find, read
from models.ich.preprocess import prepare
from models.prediction import Urgency
from models.volume import Volume


@pytest.fixture(scope="module")
def card() -> Card:
    return plain_ich_card()


@pytest.fixture(scope="module")
def volume() -> Volume:
    """A disc as dense as blood, 4 slices of 5 mm, pixels of 1 mm."""
    y, x = np.mgrid[:200, :200] - 99.5
    voxels = np.repeat(np.where(np.hypot(y, x) < 85, 60.0, -1000.0)[None], 4, axis=0).astype(np.float32)
    positions = np.array([[0.0, 0.0, 5.0 * k] for k in range(4)])
    return Volume(voxels, positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0))


def probabilities_of(label: int, radius_mm: float, *, slab: int = 1, value: float = 0.95) -> NDArray[np.float32]:
    y, x = (np.mgrid[:192, :192] - 95.5) * 1.2
    given = np.zeros((4, 6, 192, 192), np.float32)
    given[slab, label, np.hypot(y, x) < radius_mm] = value
    given[:, 0] = 1 - given[:, 1:].sum(axis=1)
    return given


def maps_of(bleeds: NDArray[np.float32]) -> Maps:
    shape = (len(bleeds), *bleeds.shape[2:])
    nothing = np.zeros(shape, np.float32)
    return Maps(bleeds, np.ones(shape, np.bool_), nothing, nothing)


def read_probabilities(bleeds: NDArray[np.float32], volume: Volume, card: Card) -> Reading:
    return read(maps_of(bleeds), prepare(volume, card.preprocess), volume, card)


def test_voxels_volumes_and_slices_are_those_of_the_map(card: Card, volume: Volume) -> None:
    reading = read_probabilities(probabilities_of(3, 20), volume, card)
    assert np.unique(reading.segmentation).tolist() == [0, 3]
    assert np.flatnonzero(reading.segmentation.any(axis=(1, 2))).tolist() == [1]
    assert volume.measure_ml(reading.segmentation == 3) == pytest.approx(np.pi * 20**2 * 5 / 1000, rel=0.03)
    assert reading.slice_probabilities["SDH"].tolist() == pytest.approx([0, 0.95, 0, 0])
    assert reading.probabilities["SDH"] == pytest.approx(0.95)
    assert reading.probabilities["IPH"] == pytest.approx(0)


def test_one_bright_pixel_makes_no_suspicious_slice(card: Card, volume: Volume) -> None:
    reading = read_probabilities(probabilities_of(1, 1.0, value=1.0), volume, card)
    assert reading.probabilities["IPH"] < 0.2
    assert not reading.segmentation.any()


@pytest.mark.parametrize(("hu", "kept"), [(38.0, False), (60.0, True)])
def test_what_is_no_denser_than_brain_is_no_blood(card: Card, volume: Volume, hu: float, kept: bool) -> None:
    pale = replace(volume, voxels=np.where(volume.voxels > 0, hu, volume.voxels).astype(np.float32))
    reading = read_probabilities(probabilities_of(3, 20), pale, card)
    assert reading.segmentation.any() == kept


def test_outlines_leave_bone_out(card: Card, volume: Volume) -> None:
    voxels = volume.voxels.copy()
    voxels[:, 110:, 90:110] = 900.0
    reading = read_probabilities(probabilities_of(3, 20), replace(volume, voxels=voxels), card)
    assert not reading.segmentation[voxels > 200].any()
    assert reading.segmentation[1, 98:110, 90:110].all()


def test_a_rim_that_bone_brightens_is_no_blood(card: Card, volume: Volume) -> None:
    voxels = volume.voxels.copy()
    voxels[:, 100:, :] = 900.0  # bone behind; the map covers a thin strip in front of it
    given = probabilities_of(3, 20)
    y = ((np.arange(192) - 95.5) * 1.2)[:, None]
    given[:, 3] *= (y > -1.5) & (y < 0.5)
    given[:, 0] = 1 - given[:, 1:].sum(axis=1)
    beside_bone = replace(volume, voxels=voxels)
    reading = read_probabilities(given, beside_bone, card)
    assert not reading.segmentation.any()


@pytest.mark.parametrize(("factor", "kept"), [(0.6, False), (1.8, True)])
def test_specks_are_dropped(card: Card, volume: Volume, factor: float, kept: bool) -> None:
    radius_mm = np.sqrt(SMALLEST_ML * factor * 1000 / 5 / np.pi)
    reading = read_probabilities(probabilities_of(2, radius_mm), volume, card)
    assert reading.segmentation.any() == kept


def test_neighbouring_subtypes_do_not_drop_each_other(card: Card, volume: Volume) -> None:
    given = probabilities_of(2, 2.0) + probabilities_of(1, 15)
    given[1, 1][given[1, 2] > 0] = 0
    given[:, 0] = 1 - given[:, 1:].sum(axis=1)
    reading = read_probabilities(given, volume, card)
    assert np.unique(reading.segmentation).tolist() == [0, 1, 2]


def reading_of(volume: Volume, voxels: dict[int, int], probability: float) -> Reading:
    segmentation = np.zeros(volume.voxels.shape, np.uint8)
    for place, (value, count) in enumerate(voxels.items()):
        segmentation[place].flat[:count] = value
    names = ("IPH", "IVH", "SDH", "EDH", "SAH")
    scores = {name: np.array([0.1, 0.2, 0.9, 0.1], np.float32) for name in names}
    return Reading(segmentation, scores, dict.fromkeys(names, probability), dict.fromkeys(names, (0.5, 1.5)))


def test_a_finding_reaches_both_limits_of_its_operating_point(card: Card, volume: Volume) -> None:
    for label in card.labels:
        point = label.operating_point
        enough = int(np.ceil(point.volume_ml / 0.005 - 1e-9))  # voxels of 0.005 mL
        for voxels, probability, found in (
            (enough, point.probability, True),
            (enough - 1, 1.0, False),
            (enough, point.probability - 1e-6, False),
        ):
            findings = find(reading_of(volume, {label.value: voxels}, probability), volume, card)
            assert [f.label for f in findings] == ([label.name] if found else []), label.name


def test_where_the_card_asks_no_volume_the_probability_alone_decides(card: Card, volume: Volume) -> None:
    label = card.label("IPH")
    label = label.model_copy(update={"operating_point": label.operating_point.model_copy(update={"volume_ml": 0.0})})
    (finding,) = find(reading_of(volume, {}, 0.99), volume, card.model_copy(update={"labels": (label,)}))
    assert (finding.volume_ml, finding.key_slice) == (0, 2)


def test_urgency_turns_at_the_cards_volumes(card: Card) -> None:
    label = card.label("SDH")
    label = label.model_copy(update={"urgency": label.urgency.model_copy(update={"urgent_ml": 2.0})})
    limit = label.urgency.immediate_ml
    assert label.urgency.of(limit) is Urgency.IMMEDIATE
    assert label.urgency.of(np.nextafter(limit, 0)) is Urgency.URGENT
    assert label.urgency.of(2.0) is Urgency.URGENT
    assert label.urgency.of(np.nextafter(2.0, 0)) is Urgency.STANDARD


def test_findings_come_by_urgency_and_then_by_volume_with_their_largest_slice(card: Card, volume: Volume) -> None:
    # IPH 0.5 mL urgent, SDH 20 mL immediate, EDH 1.5 mL immediate at any volume.
    findings = find(reading_of(volume, {1: 100, 3: 4000, 4: 300}, 0.9), volume, card)
    assert [(f.label, f.urgency, f.key_slice) for f in findings] == [
        ("SDH", Urgency.IMMEDIATE, 1),
        ("EDH", Urgency.IMMEDIATE, 2),
        ("IPH", Urgency.URGENT, 0),
    ]
    assert findings[0].volume_ml == pytest.approx(20)


def test_uneven_slices_weigh_in_volumes(card: Card, volume: Volume) -> None:
    uneven = replace(volume, positions_mm=np.array([[0.0, 0.0, z] for z in (0, 2, 4, 14)]))
    findings = find(reading_of(volume, {2: 500}, 0.9), uneven, card)
    assert findings[0].volume_ml == pytest.approx(500 * 2 / 1000)
