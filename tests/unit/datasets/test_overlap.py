"""Dice, surface Dice and HD95 on shapes whose answer is known, on even, uneven and tilted slices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.volume import Volume
from services.datasets.evaluation.overlap import TOLERANCE_MM, Overlap, measure_overlap, surface

Mask = NDArray[np.bool_]


def volume(offsets_mm: list[float], size: int = 16, *, tilt_mm: float = 0.0) -> Volume:
    """Slices of 1 mm pixels at given places; `tilt_mm` shears them along the columns from slice to slice."""
    offsets = np.array(offsets_mm)
    positions = np.stack([np.zeros(len(offsets)), tilt_mm * np.arange(len(offsets)), offsets], axis=1)
    return Volume(np.zeros((len(offsets), size, size), np.float32), positions, (1, 0, 0), (0, 1, 0), (1.0, 1.0))


def block(grid: Volume, slices: slice, rows: slice, columns: slice) -> Mask:
    mask = np.zeros(grid.voxels.shape, bool)
    mask[slices, rows, columns] = True
    return mask


def measured(truth: Mask, answer: Mask, grid: Volume) -> Overlap:
    found = measure_overlap(truth, answer, grid)
    assert found is not None
    return found


EVEN = [5.0 * k for k in range(8)]
UNEVEN = [0.0, 2.5, 5.0, 7.5, 12.5, 20.0, 25.0, 30.0]


@pytest.mark.parametrize("offsets", [EVEN, UNEVEN])
def test_a_mask_coincides_with_itself(offsets: list[float]) -> None:
    grid = volume(offsets)
    mask = block(grid, slice(2, 5), slice(3, 9), slice(4, 12))
    assert measured(mask, mask, grid) == Overlap(1.0, 1.0, 0.0, 1.0)


def test_a_shift_within_the_plane_is_the_distance() -> None:
    grid = volume(EVEN)
    truth = block(grid, slice(2, 5), slice(3, 9), slice(2, 8))
    answer = block(grid, slice(2, 5), slice(3, 9), slice(6, 12))
    found = measured(truth, answer, grid)
    assert found.dice == pytest.approx(2 / 6)
    assert found.hd95_mm == pytest.approx(4.0)
    assert found.nsd < 1


def test_within_the_tolerance_surfaces_count_as_one() -> None:
    grid = volume(EVEN)
    truth = block(grid, slice(2, 5), slice(3, 9), slice(2, 8))
    assert measured(truth, block(grid, slice(2, 5), slice(3, 9), slice(4, 10)), grid).nsd == 1.0
    assert TOLERANCE_MM == 2.0


def test_distances_across_slices_follow_their_real_places() -> None:
    """One slice more on top: 5 mm where slices are 5 mm apart, 7.5 mm in the widest gap; the lid is over 5 % of it."""
    for offsets, extra in ((EVEN, 5.0), (UNEVEN, (20 + 25) / 2 - (12.5 + 20) / 2)):
        grid = volume(offsets)
        truth = block(grid, slice(1, 5), slice(2, 14), slice(2, 14))
        answer = block(grid, slice(1, 6), slice(2, 14), slice(2, 14))
        assert measured(truth, answer, grid).hd95_mm == pytest.approx(extra)


def test_volumes_weigh_slices_by_what_they_stand_for() -> None:
    grid = volume(UNEVEN)
    truth = block(grid, slice(3, 6), slice(2, 6), slice(2, 6))
    answer = block(grid, slice(3, 5), slice(2, 6), slice(2, 6))
    both, one = grid.slab_mm[3:5].sum(), grid.slab_mm[5]
    assert measured(truth, answer, grid).dice == pytest.approx(2 * both / (2 * both + one))


@pytest.mark.parametrize("tilt_mm", [0.0, 1.7])
@pytest.mark.parametrize("offsets", [EVEN, UNEVEN])
def test_the_surface_of_a_block_is_its_area_and_lies_on_it(offsets: list[float], tilt_mm: float) -> None:
    grid = volume(offsets, tilt_mm=tilt_mm)
    mask = block(grid, slice(2, 5), slice(3, 9), slice(4, 12))
    points, areas = surface(mask, grid)
    height = grid.slab_mm[2:5].sum()
    assert areas.sum() == pytest.approx(2 * 6 * 8 + 2 * (6 + 8) * height)
    assert points[:, 0].min() == 3.5
    assert points[:, 0].max() == 11.5
    sideways = points[:, 1] - tilt_mm * np.interp(points[:, 2], offsets, range(len(offsets)))
    assert sideways.min() == pytest.approx(2.5)
    assert sideways.max() == pytest.approx(8.5)


def test_a_single_slice_has_a_surface() -> None:
    grid = volume([0.0])
    mask = block(grid, slice(0, 1), slice(3, 5), slice(3, 5))
    assert surface(mask, grid)[1].sum() == pytest.approx(2 * 4 + 8 * 1.0)


def test_what_was_missed_or_is_not_there() -> None:
    grid = volume(EVEN)
    nothing = np.zeros(grid.voxels.shape, bool)
    something = block(grid, slice(2, 5), slice(3, 9), slice(4, 12))
    assert measure_overlap(nothing, nothing, grid) is None
    assert measured(something, nothing, grid) == Overlap(0.0, 0.0, None)
    assert measured(nothing, something, grid) == Overlap(0.0, 0.0, None)


@given(st.integers(0, 2**32 - 1), st.sampled_from([EVEN[:4], UNEVEN[2:6]]))
def test_any_two_masks_agree_with_distances_between_all_pairs(seed: int, offsets: list[float]) -> None:
    random = np.random.default_rng(seed)
    grid = volume(offsets, size=5)
    truth, answer = (random.random(grid.voxels.shape) < 0.2 for _ in range(2))
    truth[0, 0, 0] = answer[1, 1, 1] = True
    found, back = measured(truth, answer, grid), measured(answer, truth, grid)
    (a, area_a), (b, area_b) = surface(truth, grid), surface(answer, grid)
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    near = area_a[apart.min(axis=1) <= 2].sum() + area_b[apart.min(axis=0) <= 2].sum()
    assert found.nsd == pytest.approx(near / (area_a.sum() + area_b.sum()))
    assert found.hd95_mm is not None
    assert found.hd95_mm <= max(apart.min(axis=1).max(), apart.min(axis=0).max()) + 1e-9
    for distances, areas in ((apart.min(axis=1), area_a), (apart.min(axis=0), area_b)):
        assert areas[distances <= found.hd95_mm + 1e-9].sum() >= 0.95 * areas.sum() - 1e-9
    assert (found.dice, found.nsd, found.hd95_mm) == pytest.approx((back.dice, back.nsd, back.hd95_mm))
