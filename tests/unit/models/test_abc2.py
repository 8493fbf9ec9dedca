"""ABC/2 is what a ruler gives: known on ellipsoids and cylinders, and the same however the patient lies."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.abc2 import abc_over_2, diameters_mm
from models.errors import InvalidVolume
from models.volume import Volume

PIXEL_MM = (0.5, 0.4)
ROWS = 200


def grid(heights_mm: NDArray[np.float64]) -> Volume:
    """Upright slices at heights, with the origin in their middle."""
    corner = [-(n - 1) / 2 * step for n, step in zip((ROWS, ROWS), PIXEL_MM[::-1], strict=True)]
    return Volume(
        voxels=np.broadcast_to(np.float32(0), (len(heights_mm), ROWS, ROWS)),
        positions_mm=np.array([[*corner, height] for height in heights_mm]),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=PIXEL_MM,
    )


def points_mm(volume: Volume) -> tuple[NDArray[np.float64], ...]:
    """x, y, z of every voxel, each broadcastable to (slice, row, column)."""
    x0, y0 = volume.positions_mm[0, :2]
    rows, columns = np.arange(ROWS), np.arange(ROWS)
    x, y = x0 + columns * PIXEL_MM[1], y0 + rows * PIXEL_MM[0]
    return x[None, None, :], y[None, :, None], volume.positions_mm[:, 2][:, None, None]


def ellipse(volume: Volume, a_mm: float, b_mm: float, turn_deg: float = 0.0) -> NDArray[np.float64]:
    """(x/a)^2 + (y/b)^2 in axes turned in the slice, (1, row, column)."""
    x, y, _ = points_mm(volume)
    turn = np.deg2rad(turn_deg)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return (u / a_mm) ** 2 + (v / b_mm) ** 2


radii = st.floats(8, 32)


@settings(max_examples=20)
@given(a_mm=radii, b_mm=radii, c_mm=st.floats(10, 30), turn_deg=st.floats(0, 180), step_mm=st.floats(0.3, 0.6))
def test_an_ellipsoid_is_low_by_what_the_formula_leaves_out(
    a_mm: float, b_mm: float, c_mm: float, turn_deg: float, step_mm: float
) -> None:
    """ABC/2 is 3/pi of pi/6 ABC; the published counting takes c (1 + (sqrt 3 - 1) / 2) for the height 2 c."""
    volume = grid(np.arange(-c_mm - 2, c_mm + 2, step_mm))
    mask = ellipse(volume, a_mm, b_mm, turn_deg) + (points_mm(volume)[2] / c_mm) ** 2 <= 1
    true_ml = 4 / 3 * np.pi * a_mm * b_mm * c_mm / 1000
    whole, published = abc_over_2(mask, volume, weighted=False), abc_over_2(mask, volume)
    # A ruler is right to a pixel, and a height to a slice.
    rounding = (1 + max(PIXEL_MM) / (2 * a_mm)) * (1 + max(PIXEL_MM) / (2 * b_mm)) * (1 + step_mm / (2 * c_mm)) - 1
    assert whole / true_ml == pytest.approx(3 / np.pi, rel=rounding)
    assert published / whole == pytest.approx((1 + np.sqrt(3)) / 4, abs=0.04)


@settings(max_examples=25)
@given(a_mm=st.floats(20, 34), flat=st.floats(0.4, 0.9), turns_deg=st.tuples(st.floats(0, 180), st.floats(0, 180)))
def test_it_does_not_matter_how_the_bleed_lies_in_the_slice(
    a_mm: float, flat: float, turns_deg: tuple[float, float]
) -> None:
    volume = grid(np.arange(5) * 5.0)
    one, other = (
        abc_over_2(np.repeat(ellipse(volume, a_mm, a_mm * flat, turn) <= 1, 5, axis=0), volume) for turn in turns_deg
    )
    assert one == pytest.approx(other, rel=0.06)
    assert one == pytest.approx(4 * a_mm**2 * flat * 25 / 2 / 1000, rel=0.06)


@given(
    gaps_mm=st.lists(st.floats(0.5, 9), min_size=2, max_size=8),
    shares=st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.7, 0.8, 1.0]), min_size=9, max_size=9),
)
def test_slices_count_fully_by_half_or_not_with_their_own_thickness(gaps_mm: list[float], shares: list[float]) -> None:
    volume = grid(np.array([0.0, *np.cumsum(gaps_mm)]))
    widths = [round(100 * share) for share in [1.0, *shares][: len(gaps_mm) + 1]]
    mask = np.zeros(volume.voxels.shape, np.bool_)
    for plane, width in zip(mask, widths, strict=True):
        plane[50:60, :width] = True
    half_ways = np.array([gaps_mm[0], *((one + other) / 2 for one, other in pairwise(gaps_mm)), gaps_mm[-1]])
    # What an empty slice cuts off is another component.
    end = widths.index(0) if 0 in widths else len(widths)
    first, rest = (mask[part].sum(axis=(1, 2)) @ half_ways[part] for part in (slice(end), slice(end, None)))
    assume(rest < first)
    counts = {0: 0.0, 10: 0.0, 30: 0.5, 70: 0.5, 80: 1.0, 100: 1.0}
    c_mm = sum(counts[width] * slab for width, slab in zip(widths[:end], half_ways, strict=False))
    a_mm, b_mm = diameters_mm(mask[0], PIXEL_MM)
    assert abc_over_2(mask, volume) == pytest.approx(a_mm * b_mm * c_mm / 2000)


def test_exactly_a_quarter_and_exactly_three_quarters_count_by_half() -> None:
    volume = grid(np.arange(3) * 4.0)
    mask = np.zeros(volume.voxels.shape, np.bool_)
    for plane, width in zip(mask, (25, 100, 75), strict=True):
        plane[50:60, :width] = True
    a_mm, b_mm = diameters_mm(mask[1], PIXEL_MM)
    assert abc_over_2(mask, volume) == pytest.approx(a_mm * b_mm * (2 + 4 + 2) / 2000)


def test_only_the_largest_component_is_measured_by_millilitres_not_voxels() -> None:
    volume = grid(np.array([0.0, 1, 2, 3, 13, 23]))
    thin, thick = np.zeros((2, *volume.voxels.shape), np.bool_)
    thin[:3, 20:40, 20:40] = True  # 1200 voxels, 1 mm slices
    thick[4:, 100:120, 100:115] = True  # 600 voxels, 10 mm slices
    assert abc_over_2(thin | thick, volume) == abc_over_2(thick, volume)
    assert abc_over_2(thick, volume) > 2 * abc_over_2(thin, volume)


def test_diameters_of_one_pixel_are_its_edges() -> None:
    plane = np.zeros((9, 9), np.bool_)
    plane[4, 4] = True
    a_mm, b_mm = diameters_mm(plane, (0.5, 0.5))
    assert a_mm == pytest.approx(0.5)
    assert 0.25 < b_mm <= 0.6


def test_across_a_crescent_is_its_thickness() -> None:
    volume = grid(np.array([0.0]))
    x, y, _ = points_mm(volume)
    ring = (np.hypot(x, y) <= 35) & (np.hypot(x, y) >= 28) & (y >= 0)
    a_mm, b_mm = diameters_mm(ring[0], PIXEL_MM)
    assert a_mm == pytest.approx(70, rel=0.02)
    # The longest upright line in the ring ends where the inner circle begins, sqrt(35^2 - 28^2); the bow is 35 high.
    assert b_mm == pytest.approx(21, rel=0.1)


def test_nothing_measures_nothing_and_another_grid_is_refused() -> None:
    volume = grid(np.arange(3) * 5.0)
    assert abc_over_2(np.zeros(volume.voxels.shape, np.bool_), volume) == 0
    with pytest.raises(InvalidVolume, match="The mask is"):
        abc_over_2(np.zeros((2, ROWS, ROWS), np.bool_), volume)
