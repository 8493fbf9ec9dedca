"""Bleeds have the volume asked for and stay where anatomy lets them be."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from models.synthesis import SUBTYPES, Bleed
from models.synthesis.anatomy import draw_head
from models.synthesis.bleeding import VOXEL_ML, Space, Subtype, grow
from models.synthesis.tissue import VOXEL_MM, Tissue

WANTED_ML = 12.0


@pytest.fixture(scope="module")
def space() -> Space:
    return Space.of(draw_head(np.random.default_rng(3)))


def grown(space: Space, label: Subtype, seed: int, volume_ml: float = WANTED_ML) -> NDArray[np.bool_]:
    labels = grow(space, [Bleed(label, volume_ml)], np.random.default_rng(seed))
    assert set(np.unique(labels)) == {0, SUBTYPES.index(label) + 1}
    return labels > 0


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("label", SUBTYPES)
def test_a_bleed_has_its_volume_and_its_compartment(space: Space, label: Subtype, seed: int) -> None:
    bleed = grown(space, label, seed)
    assert bleed.sum() * VOXEL_ML == pytest.approx(WANTED_ML, rel=0.01)
    allowed = {
        "IPH": space.brain,
        "IVH": space.anatomy.mask(Tissue.VENTRICLE),
        "SDH": space.intracranial,
        "EDH": space.intracranial,
        "SAH": space.anatomy.mask(Tissue.CSF),
    }[label]
    assert not (bleed & ~allowed).any()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_epidural_bleed_is_a_lens_on_the_skull_and_a_subdural_one_a_wider_crescent(space: Space, seed: int) -> None:
    epidural, subdural = grown(space, "EDH", seed), grown(space, "SDH", seed)
    middle = space.intracranial.shape[2] // 2
    for bleed in (epidural, subdural):
        touching = bleed & (space.depth_mm <= VOXEL_MM * 1.01)
        assert touching.mean() > 0.1 * bleed.mean()
        assert not (bleed[:, :, :middle].any() and bleed[:, :, middle:].any())
    rim = [(bleed & (space.depth_mm <= VOXEL_MM * 1.01)).sum() for bleed in (subdural, epidural)]
    assert rim[0] > 1.2 * rim[1]
    assert space.depth_mm[epidural].max() > space.depth_mm[subdural].max()


def test_some_subdural_bleeds_lie_along_the_falx(space: Space) -> None:
    beside = ndimage.binary_dilation(space.anatomy.mask(Tissue.DURA), iterations=2)
    assert (grown(space, "SDH", 3) & beside).any()


def test_a_bleed_larger_than_its_compartment_fills_it(space: Space) -> None:
    assert np.array_equal(grown(space, "IVH", 0, 900.0), space.anatomy.mask(Tissue.VENTRICLE))


def test_later_bleeds_leave_earlier_ones_their_voxels(space: Space) -> None:
    rng = np.random.default_rng(5)
    labels = grow(space, [Bleed("EDH", 15), Bleed("SDH", 15), Bleed("IPH", 10)], rng)
    for label, volume_ml in (("EDH", 15), ("SDH", 15), ("IPH", 10)):
        voxels = (labels == SUBTYPES.index(label) + 1).sum()
        assert voxels * VOXEL_ML == pytest.approx(volume_ml, rel=0.01)


def test_no_bleed_leaves_no_label(space: Space) -> None:
    assert not grow(space, [], np.random.default_rng(0)).any()


def test_the_same_generator_state_gives_the_same_bleed(space: Space) -> None:
    assert np.array_equal(grown(space, "SAH", 8), grown(space, "SAH", 8))
    assert not np.array_equal(grown(space, "SAH", 8), grown(space, "SAH", 9))
