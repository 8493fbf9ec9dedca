"""Bleeds have the volume asked for, stay where anatomy lets them be, and push the brain aside."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.synthesis import SUBTYPES, Bleed
from models.synthesis.anatomy import draw_head
from models.synthesis.appearance import FRESH_CONTRAST_HU, Shares, paint
from models.synthesis.bleeding import THINNEST_MM, VOXEL_ML, Bled, Subtype, bleed
from models.synthesis.mass import squeeze
from models.synthesis.space import Space
from models.synthesis.tissue import BRAIN, INTRACRANIAL, VENTRICLES, VOXEL_MM, Tissue

WANTED_ML = 12.0


@pytest.fixture(scope="module")
def space() -> Space:
    return Space.of(draw_head(np.random.default_rng(3)))


def bled(space: Space, label: Subtype, seed: int, volume_ml: float = WANTED_ML) -> Bled:
    return bleed(space, [Bleed(label, volume_ml)], np.random.default_rng(seed))


def grown(space: Space, label: Subtype, seed: int, volume_ml: float = WANTED_ML) -> NDArray[np.bool_]:
    labels = bled(space, label, seed, volume_ml).labels
    assert set(np.unique(labels)) == {0, SUBTYPES.index(label) + 1}
    return labels > 0


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("label", SUBTYPES)
def test_a_bleed_has_its_volume_and_its_compartment(space: Space, label: Subtype, seed: int) -> None:
    after = bled(space, label, seed)
    mask = after.labels > 0
    # Collections at the skull end where they would be thinner than a slice shows.
    assert mask.sum() * VOXEL_ML == pytest.approx(WANTED_ML, rel=0.35 if label in ("SDH", "EDH") else 0.01)
    allowed = {
        "IPH": space.brain,
        "IVH": after.space.anatomy.mask(*VENTRICLES),
        "SDH": space.intracranial,
        "EDH": space.intracranial,
        "SAH": after.space.sulci,
    }[label]
    assert not (mask & ~allowed).any()


def at_skull(space: Space, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mask & (space.depth_mm <= VOXEL_MM * 1.01)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_epidural_bleed_is_a_lens_on_the_skull_and_a_subdural_one_wider_and_flatter(space: Space, seed: int) -> None:
    epidural = grown(space, "EDH", seed, 40.0)
    # Some subdural bleeds lie along the falx or the tentorium; these are not compared.
    convex = (grown(space, "SDH", n, 40.0) for n in range(10 * (seed + 1), 10 * (seed + 2)))
    subdural = next(mask for mask in convex if at_skull(space, mask).sum() > 0.08 * mask.sum())
    for mask in (epidural, subdural):
        assert at_skull(space, mask).any()
        assert not ((mask & space.anatomy.left).any() and (mask & ~space.anatomy.left).any())
    assert space.depth_mm[epidural].max() > space.depth_mm[subdural].max()
    assert at_skull(space, subdural).sum() > at_skull(space, epidural).sum()


@pytest.mark.parametrize("seed", range(6))
def test_no_collection_is_a_film_on_the_skull_that_no_slice_can_show(space: Space, seed: int) -> None:
    mask = grown(space, "SDH", seed, 30.0)
    at_rim = at_skull(space, mask)
    # Going straight inwards from the rim, the next voxel bleeds too, but for the last ones at the edge.
    deeper = mask & (space.depth_mm > VOXEL_MM * 1.01) & (space.depth_mm <= 2 * VOXEL_MM * 1.01)
    assert THINNEST_MM > VOXEL_MM
    if at_rim.any():
        assert deeper.sum() > 0.5 * at_rim.sum()


def test_a_bleed_larger_than_its_compartment_fills_it(space: Space) -> None:
    after = bled(space, "IVH", 0, 900.0)
    lateral = after.labels[after.space.anatomy.mask(Tissue.LATERAL)]
    assert (lateral > 0).mean() in (pytest.approx(1.0), pytest.approx(0.5, abs=0.12))  # both, or one


def test_bleeds_do_not_overlap(space: Space) -> None:
    bleeds = [Bleed("IPH", 10), Bleed("SDH", 15), Bleed("EDH", 15)]
    labels = bleed(space, bleeds, np.random.default_rng(5)).labels
    for label, volume_ml in (("EDH", 15), ("SDH", 15), ("IPH", 10)):
        voxels = (labels == SUBTYPES.index(label) + 1).sum()
        assert voxels * VOXEL_ML == pytest.approx(volume_ml, rel=0.35)


# Seeds whose subdural bleed lies along the convexity: one along the falx on the same side has no room at all.
@pytest.mark.parametrize("seed", [1, 4])
def test_a_subdural_bleed_lies_opposite_an_epidural_one(space: Space, seed: int) -> None:
    labels = bleed(space, [Bleed("EDH", 15), Bleed("SDH", 15)], np.random.default_rng(seed)).labels
    epidural, subdural = (labels == SUBTYPES.index(label) + 1 for label in ("EDH", "SDH"))
    assert epidural.any()
    assert subdural.any()
    on_left = bool((epidural & space.anatomy.left).any())
    assert not (subdural & (space.anatomy.left if on_left else ~space.anatomy.left)).any()


@pytest.mark.parametrize("label", SUBTYPES)
def test_fresh_blood_is_denser_than_the_brain_it_lies_in(space: Space, label: Subtype) -> None:
    after = bled(space, label, 3)
    hu = paint(after, np.random.default_rng(3), fresh=True)
    brain = float(np.median(hu[after.space.brain & (after.labels == 0)]))
    assert np.median(hu[after.labels > 0]) > brain + 0.7 * FRESH_CONTRAST_HU  # CSF dilutes some


ALWAYS = Shares(thick_rim=1, infarct=1, hygroma=1, isodense=1)
NEVER = Shares(thick_rim=0, infarct=0, hygroma=0, isodense=0)


# Seeds whose subdural bleed lies along the convexity: one along falx or tentorium is too small to be so old.
@pytest.mark.parametrize("seed", [10, 12, 13])
def test_a_subdural_bleed_is_as_dense_as_brain_where_asked(space: Space, seed: int) -> None:
    after = bled(space, "SDH", seed, 100.0)
    hu = paint(after, np.random.default_rng(seed), shares=ALWAYS)
    assert 30 < np.median(hu[after.labels > 0]) < 50  # neither fresh nor chronic


@pytest.mark.parametrize("seed", range(3))
def test_fluid_below_the_skull_of_one_side_is_there_where_asked(space: Space, seed: int) -> None:
    after = bleed(space, [], np.random.default_rng(seed), shift_share=0.0)
    below = after.space.intracranial & (after.space.depth_mm < 1.3)
    sides = [below & half for half in (space.anatomy.left, ~space.anatomy.left)]
    with_it, without = (
        [np.median(hu[side]) for side in sides]
        for hu in (paint(after, np.random.default_rng(seed), shares=shares) for shares in (ALWAYS, NEVER))
    )
    assert abs(with_it[0] - with_it[1]) > 10
    assert abs(without[0] - without[1]) < 5


def test_no_bleed_leaves_no_label_and_the_brain_where_it_was(space: Space) -> None:
    after = bleed(space, [], np.random.default_rng(0), shift_share=0.0)
    assert not after.labels.any()
    assert after.shift_mm == 0
    assert np.array_equal(after.space.anatomy.tissue, space.anatomy.tissue)


def test_the_same_generator_state_gives_the_same_bleed(space: Space) -> None:
    assert np.array_equal(grown(space, "SAH", 8), grown(space, "SAH", 8))
    assert not np.array_equal(grown(space, "SAH", 8), grown(space, "SAH", 9))


@pytest.mark.parametrize("seed", [10, 11, 12])
def test_a_large_collection_presses_the_brain_away_from_the_skull_and_over_the_midline(space: Space, seed: int) -> None:
    after = bled(space, "SDH", seed, 100.0)
    mask = after.labels > 0
    on_left = (mask & space.anatomy.left).sum() > mask.sum() / 2
    assert np.sign(after.shift_mm) == (-1 if on_left else 1)
    middle = [np.argwhere(s.anatomy.mask(Tissue.LATERAL))[:, 2].mean() for s in (space, after.space)]
    assert (middle[1] - middle[0]) * np.sign(after.shift_mm) > 0.3
    # The brain is squeezed, not cut off: at most a little of it is gone.
    brain = [s.anatomy.mask(*BRAIN) for s in (space, after.space)]
    assert (brain[1] & ~mask).sum() > 0.85 * brain[0].sum()


def test_a_squeezed_half_loses_csf_and_the_other_none(space: Space) -> None:
    left = space.anatomy.left
    after = squeeze(space, left, np.random.default_rng(1))
    for was, now in (
        (space.anatomy.tissue == Tissue.LATERAL, after.anatomy.tissue == Tissue.LATERAL),
        (space.sulci, after.sulci),
    ):
        assert 0 < (now & left).sum() < (was & left).sum()
        assert np.array_equal(now & ~left, was & ~left)
    assert np.array_equal(after.anatomy.mask(*INTRACRANIAL), space.anatomy.mask(*INTRACRANIAL))
