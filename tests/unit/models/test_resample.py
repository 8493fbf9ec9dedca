"""One image on another's grid: a field of the patient stays where it is, tilted and uneven slices included."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.resample import index_of, place_of, resample, same_grid
from models.volume import Volume


def _volume(rows: int, spacing_mm: float, gaps_mm: list[float], tilt: float, turn: float) -> Volume:
    row = np.array([np.cos(turn), np.sin(turn), 0.0])
    column = np.array([-np.sin(turn) * np.cos(tilt), np.cos(turn) * np.cos(tilt), np.sin(tilt)])
    heights = np.concatenate([[0.0], np.cumsum(gaps_mm)])
    corner = -(rows - 1) / 2 * spacing_mm * (row + column)
    positions = corner[None] + (heights - heights[-1] / 2)[:, None] * np.array([0.0, 0.0, 1.0])
    empty = Volume(
        np.zeros((len(heights), rows, rows), np.float32),
        positions,
        (float(row[0]), float(row[1]), float(row[2])),
        (float(column[0]), float(column[1]), float(column[2])),
        (spacing_mm, spacing_mm),
    )
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in empty.voxels.shape], indexing="ij"))
    x, y, z = np.moveaxis(place_of(empty, index), -1, 0)
    return replace(empty, voxels=(100 + x + 2 * y - 3 * z).astype(np.float32))


@settings(max_examples=20, deadline=None)
@given(tilt=st.floats(-0.4, 0.4), turn=st.floats(-0.3, 0.3), uneven=st.booleans())
def test_a_linear_field_is_found_again_on_any_grid(tilt: float, turn: float, uneven: bool) -> None:
    source = _volume(40, 3.0, [4.0] * 8 + [7.0] * 8 if uneven else [5.0] * 17, tilt, turn)
    target = _volume(16, 2.0, [3.0] * 9, 0.0, 0.0)
    np.testing.assert_allclose(resample(source, target), target.voxels, atol=0.01)


def test_outside_is_said_and_half_a_slice_still_belongs() -> None:
    source = _volume(8, 2.0, [5.0] * 3, 0.0, 0.0)
    target = _volume(8, 2.0, [5.0] * 5, 0.0, 0.0)
    given_ = resample(source, target, outside=-1.0)
    assert (given_[[0, -1]] == -1).all()
    assert np.isfinite(given_).all()
    near = index_of(source, source.positions_mm[:1] - [0, 0, 2.4])
    assert near[0] == 0
    assert index_of(source, source.positions_mm[:1] - [0, 0, 2.6])[0] < 0


def test_the_same_grid_is_taken_as_it_is() -> None:
    volume = _volume(8, 2.0, [5.0] * 3, 0.1, 0.0)
    assert same_grid(volume, volume)
    assert resample(volume, volume) is volume.voxels
    assert not same_grid(volume, _volume(8, 2.0, [5.1] * 3, 0.1, 0.0))
