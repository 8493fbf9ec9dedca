"""The scanner puts slices where the acquisition says, and what lies in the head where it lies in the patient."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from support.heads import small_head

from models.errors import InvalidVolume
from models.synthesis import Acquisition
from models.synthesis.scanner import scan
from models.synthesis.tissue import VOXEL_MM
from models.volume import Volume

SHAPE = (60, 56, 52)
CENTRE_MM = np.array([6.0, -7.0, 5.0])
"""Of a ball in the head, from the middle: left, posterior, superior."""


def ball(radius_mm: float = 9.0) -> NDArray[np.bool_]:
    axes = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    distance = sum(
        ((axis - (n - 1) / 2) * VOXEL_MM - c) ** 2 for axis, n, c in zip(axes, SHAPE, CENTRE_MM[::-1], strict=True)
    )
    return np.asarray(np.sqrt(distance) < radius_mm)


def middle_mm(volume: Volume, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre of mass in LPS, slices weighing as much as they are thick."""
    mass = weights * volume.slab_mm[:, None, None]
    k, row, column = np.indices(mass.shape, dtype=float)
    places = (
        volume.positions_mm[k.astype(int)]
        + (row * volume.spacing_mm[0])[..., None] * np.array(volume.column_direction)
        + (column * volume.spacing_mm[1])[..., None] * np.array(volume.row_direction)
    )
    return np.asarray((places * mass[..., None]).sum(axis=(0, 1, 2)) / mass.sum())


angles = st.floats(-25, 25)


@settings(max_examples=15)
@given(tilt_deg=angles, rotation_deg=st.tuples(angles, angles, angles), uneven=st.booleans())
def test_what_lies_in_the_head_lies_there_in_the_slices(
    tilt_deg: float, rotation_deg: tuple[float, float, float], uneven: bool
) -> None:
    inside = ball()
    steps = (1.5, 2.5) * 10 if uneven else (2.0,) * 20
    acquisition = Acquisition(
        rows=48, columns=44, pixel_spacing_mm=1.5, slices=21, step_mm=steps, thickness_mm=1.6, tilt_deg=tilt_deg,
        rotation_deg=rotation_deg, noise_hu=0.01,
    )  # fmt: skip
    hu = np.where(inside, 100, -1000).astype(np.float32)
    scanned = scan(hu, inside.astype(np.uint8), acquisition, np.random.default_rng(0))
    volume, labels = scanned.volume, scanned.labels
    expected = Rotation.from_euler("xyz", rotation_deg, degrees=True).apply(CENTRE_MM)
    assert np.linalg.norm(middle_mm(volume, (labels == 1).astype(float)) - expected) < 0.8
    assert np.linalg.norm(middle_mm(volume, volume.voxels + 1000.0) - expected) < 0.8
    assert volume.measure_ml(labels == 1) == pytest.approx(inside.sum() * VOXEL_MM**3 / 1000, rel=0.1)


@given(
    steps_mm=st.lists(st.floats(0.5, 8), min_size=1, max_size=6),
    tilt_deg=st.floats(-30, 30),
)
@settings(max_examples=20)
def test_slices_lie_at_the_steps_of_the_table_and_turned_by_the_gantry(steps_mm: list[float], tilt_deg: float) -> None:
    acquisition = Acquisition(
        rows=5, columns=7, pixel_spacing_mm=2.0, slices=len(steps_mm) + 1, step_mm=tuple(steps_mm), thickness_mm=1.0,
        tilt_deg=tilt_deg,
    )  # fmt: skip
    empty = np.full((4, 4, 4), -1000, np.float32)
    volume = scan(empty, np.zeros((4, 4, 4), np.uint8), acquisition, np.random.default_rng(0)).volume
    assert np.allclose(np.diff(volume.positions_mm, axis=0), [[0, 0, step] for step in steps_mm])
    assert np.allclose(np.diff(volume.offsets_mm), np.array(steps_mm) * np.cos(np.deg2rad(tilt_deg)))
    assert np.allclose(volume.normal, [0, -np.sin(np.deg2rad(tilt_deg)), np.cos(np.deg2rad(tilt_deg))])
    corners = volume.positions_mm + 2.0 * (
        2 * np.array(volume.column_direction) + 3 * np.array(volume.row_direction)
    )  # the middle pixel of each slice lies on the table's axis
    assert np.allclose(corners[:, :2], 0)
    assert corners[0, 2] == pytest.approx(-corners[-1, 2])


def test_steps_that_do_not_fit_the_slices_are_named() -> None:
    acquisition = Acquisition(rows=4, columns=4, slices=4, step_mm=(5.0, 5.0))
    empty = np.zeros((4, 4, 4), np.uint8)
    with pytest.raises(InvalidVolume, match="4 slices have 3 steps between them, not 2"):
        scan(empty.astype(np.float32), empty, acquisition, np.random.default_rng(0))


def test_values_are_whole_hounsfield_units_within_twelve_bits_and_arguments_stay_as_they_are() -> None:
    hu = np.where(ball(), 5000, -1000).astype(np.float32)
    before = hu.copy()
    acquisition = Acquisition(rows=32, columns=32, pixel_spacing_mm=2, slices=5, step_mm=4, noise_hu=8)
    volume = scan(hu, ball().astype(np.uint8), acquisition, np.random.default_rng(0)).volume
    assert volume.voxels.dtype == np.float32
    assert np.array_equal(volume.voxels, np.round(volume.voxels))
    assert (volume.voxels.min(), volume.voxels.max()) == (-1024, 3071)
    assert np.array_equal(hu, before)


def test_noise_has_the_strength_asked_for_and_a_sharp_kernel_more() -> None:
    water = np.zeros(SHAPE, np.float32)
    labels = water.astype(np.uint8)

    def spread(**values: float | str) -> float:
        acquisition = Acquisition(
            rows=40, columns=40, pixel_spacing_mm=0.6, slices=4, step_mm=2, noise_hu=4, **values  # type: ignore[arg-type]
        )  # fmt: skip
        volume = scan(water, labels, acquisition, np.random.default_rng(1)).volume
        return float(volume.voxels.std())

    assert spread(thickness_mm=5.0) == pytest.approx(4, rel=0.05)
    assert spread(thickness_mm=1.25) == pytest.approx(8, rel=0.05)
    assert spread(thickness_mm=5.0, kernel="bone") == pytest.approx(8.8, rel=0.05)


def test_a_head_repeats_itself_by_its_seed() -> None:
    bleeds = (("IVH", 25.0), ("IPH", 30.0))
    first, again = small_head(*bleeds), small_head.__wrapped__(*bleeds)
    assert again is not first
    assert np.array_equal(first.volume.voxels, again.volume.voxels)
    assert np.array_equal(first.labels, again.labels)
    assert set(np.unique(first.labels)) == {0, 1, 2}
