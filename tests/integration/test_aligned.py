"""Sequences beside each other: the same places, whatever grid they came on and however the head moved between them."""

from dataclasses import replace

import numpy as np
from support.ct import tilted_ct
from support.heads import small_head

from models.dicom import read_series
from models.volume import Volume
from services.review.aligned import align, same_grid


def _linear(volume: Volume) -> Volume:
    """The same grid, holding a density that changes linearly in the patient."""
    rows, columns = np.mgrid[: volume.voxels.shape[1], : volume.voxels.shape[2]]
    places = (
        volume.positions_mm[:, None, None]
        + columns[None, ..., None] * volume.spacing_mm[1] * np.array(volume.row_direction)
        + rows[None, ..., None] * volume.spacing_mm[0] * np.array(volume.column_direction)
    )
    return replace(volume, voxels=(places @ np.array([2.0, -1.0, 3.0])).astype(np.float32))


def test_another_grid_in_one_frame_of_reference_is_where_it_says() -> None:
    even = {"tilt_deg": 0.0, "gaps_mm": (5.0,) * 9}
    fixed = _linear(read_series(tilted_ct(**even)))  # type: ignore[arg-type]
    finer = _linear(
        read_series(tilted_ct(shape=(19, 90, 80), tilt_deg=0.0, gaps_mm=(2.5,) * 18, spacing_mm=(2.3, 2.5)))
    )
    assert not same_grid(finer, fixed)
    moved = align(finer, fixed, is_registered=False)
    assert same_grid(moved, fixed)
    inside = moved.voxels[2:8, 8:56, 8:56]
    assert np.abs(inside - fixed.voxels[2:8, 8:56, 8:56]).max() < 0.05


def test_a_head_that_moved_between_sequences_is_brought_back() -> None:
    head = small_head(tilt_deg=0.0).volume
    shift_mm = np.array([6.0, -9.0, 4.0])
    # Another contrast of the head, on a grid that says nothing of the first one's.
    other = replace(head, voxels=np.sqrt(np.clip(head.voxels, 0, 100)), positions_mm=head.positions_mm + shift_mm)
    found = align(other, head, is_registered=True)
    expected = np.sqrt(np.clip(head.voxels, 0, 100))
    unmoved = align(other, head, is_registered=False)

    def away(volume: Volume) -> float:
        return float(np.abs(volume.voxels[3:11] - expected[3:11]).mean())

    assert away(found) < away(unmoved) / 4
