"""Volumes measure what their slices stand for, however unevenly these lie, and cannot be built wrong."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidVolume
from models.volume import Vector, Volume


def volume_at(
    heights_mm: list[float], *, tilt_deg: float = 0.0, shape: tuple[int, int] = (3, 4), **values: Any
) -> Volume:
    """Slices at heights along the table, cut by a tilted gantry."""
    tilt = np.deg2rad(tilt_deg)
    column: Vector = (0.0, float(np.cos(tilt)), float(np.sin(tilt)))
    given = {
        "voxels": np.zeros((len(heights_mm), *shape), np.float32),
        "positions_mm": np.array([[-10.0, 5.0, height] for height in heights_mm]),
        "row_direction": (1.0, 0.0, 0.0),
        "column_direction": column,
        "spacing_mm": (0.5, 0.8),
        **values,
    }
    return Volume(**given)


gaps = st.lists(st.floats(0.4, 12), min_size=1, max_size=12)


@given(gaps_mm=gaps, tilt_deg=st.floats(-30, 30))
def test_slabs_reach_half_way_to_each_neighbour_across_the_slices(gaps_mm: list[float], tilt_deg: float) -> None:
    volume = volume_at([0.0, *np.cumsum(gaps_mm)], tilt_deg=tilt_deg)
    # A tilted gantry's slices lie closer together than the table moves.
    across = np.array(gaps_mm) * np.cos(np.deg2rad(tilt_deg))
    expected = [across[0], *((a + b) / 2 for a, b in pairwise(across)), across[-1]]
    assert np.allclose(volume.slab_mm, expected)
    assert volume.slab_mm.sum() == pytest.approx(across.sum() + (across[0] + across[-1]) / 2)


@given(gaps_mm=gaps, data=st.data())
def test_a_mask_measures_the_sum_of_its_slices(gaps_mm: list[float], data: st.DataObject) -> None:
    volume = volume_at([0.0, *np.cumsum(gaps_mm)])
    counts = data.draw(st.lists(st.integers(0, 12), min_size=len(volume.voxels), max_size=len(volume.voxels)))
    mask = np.zeros(volume.voxels.shape, np.bool_)
    for plane, count in zip(mask, counts, strict=True):
        plane.flat[:count] = True
    expected = sum(count * slab * 0.5 * 0.8 / 1000 for count, slab in zip(counts, volume.slab_mm, strict=True))
    assert volume.measure_ml(mask) == pytest.approx(expected, abs=1e-12)


def test_a_known_uneven_stack_measures_exactly() -> None:
    volume = volume_at([0, 2, 4, 9, 14])
    assert volume.slab_mm.tolist() == [2, 2, 3.5, 5, 5]
    mask = np.zeros(volume.voxels.shape, np.bool_)
    mask[2:, 0, :2] = True
    assert volume.measure_ml(mask) == pytest.approx(2 * (3.5 + 5 + 5) * 0.4 / 1000)


def test_one_slice_alone_counts_as_thick_as_it_is() -> None:
    volume = volume_at([7.0], thickness_mm=4.5)
    assert volume.slab_mm.tolist() == [4.5]
    assert volume.measure_ml(np.ones(volume.voxels.shape, np.bool_)) == pytest.approx(12 * 0.4 * 4.5 / 1000)
    assert volume_at([7.0, 9.0], thickness_mm=4.5).slab_mm.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"voxels": np.zeros((3, 4), np.float32)}, "three axes"),
        ({"positions_mm": np.zeros((2, 3))}, "3 slices need 3 positions"),
        ({"positions_mm": np.zeros((3, 2))}, "3 slices need 3 positions"),
        ({"sources": ("1.2", "1.3")}, "3 source instances; got 2"),
        ({"positions_mm": np.array([[0, 0, z] for z in (0.0, 5.0, 5.0)])}, "sorted along the slice normal"),
        ({"positions_mm": np.array([[0, 0, z] for z in (0.0, -5.0, -10.0)])}, "sorted along the slice normal"),
        ({"row_direction": (-1.0, 0.0, 0.0)}, "sorted along the slice normal"),
    ],
)
def test_a_volume_that_contradicts_itself_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidVolume, match=sentence):
        volume_at([0, 5, 10], **values)


def test_a_mask_of_another_grid_is_refused() -> None:
    with pytest.raises(InvalidVolume, match="mask"):
        volume_at([0, 5]).measure_ml(np.zeros((2, 4, 3), np.bool_))
