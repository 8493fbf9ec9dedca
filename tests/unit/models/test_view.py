"""What a network looks at lies where it was acquired, whatever the orientation and spacing, and comes back there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.view import View
from models.volume import Volume

SIZE, SPACING_MM = 96, 1.5
CENTRE_MM = (6.0, -9.0)


def disc(spacing_mm: tuple[float, float], flip: tuple[bool, bool], *, off_mm: tuple[float, float]) -> Volume:
    """One slice with a soft disc, `off_mm` to the back and the left of the middle of what is shown."""
    edge = round(150 / min(spacing_mm))
    rows, columns = ((np.arange(edge) - (edge - 1) / 2) * mm for mm in spacing_mm)
    y = rows[:, None] * (-1 if flip[0] else 1) - CENTRE_MM[0] - off_mm[0]
    x = columns[None] * (-1 if flip[1] else 1) - CENTRE_MM[1] - off_mm[1]
    plane = np.clip(12 - np.hypot(y, x), 0, 4) / 4
    across, down = (-1.0 if flip[1] else 1.0, 0.0, 0.0), (0.0, -1.0 if flip[0] else 1.0, 0.0)
    return Volume(plane[None].astype(np.float32), np.zeros((1, 3)), across, down, spacing_mm)


@settings(max_examples=20, deadline=None)
@given(
    spacing=st.tuples(st.floats(0.5, 2.2), st.floats(0.5, 2.2)),
    flip=st.tuples(st.booleans(), st.booleans()),
)
def test_a_disc_is_seen_behind_and_left_of_the_middle_and_returns(
    spacing: tuple[float, float], flip: tuple[bool, bool]
) -> None:
    shown = disc(spacing, flip, off_mm=(0, 0)).voxels[0] > 0
    volume = disc(spacing, flip, off_mm=(20, 11))
    view = View.of(volume, shown, size=SIZE, spacing_mm=SPACING_MM)
    seen = view.cut(volume.voxels[0])
    rows, columns = np.nonzero(seen > 0.5)
    middle = (SIZE - 1) / 2
    for axis, (found, off_mm) in enumerate(((rows, 20), (columns, 11))):
        sign, mm = -1 if flip[axis] else 1, spacing[axis]
        disc_at = (shown.shape[axis] - 1) / 2 + sign * CENTRE_MM[axis] / mm
        # The middle is that of a box of whole acquired pixels, half of one off at most; from there on it is exact.
        assert view.centre[axis] == pytest.approx(disc_at, abs=0.5)
        beside_mm = sign * (disc_at - view.centre[axis]) * mm
        assert (found.mean() - middle) * SPACING_MM == pytest.approx(off_mm + beside_mm, abs=0.5)
    back, there = view.restore(seen) > 0.5, volume.voxels[0] > 0.5
    assert 2 * (back & there).sum() > 0.9 * (back.sum() + there.sum())


def test_beyond_the_view_there_is_nothing() -> None:
    volume = disc((1.5, 1.5), (False, False), off_mm=(0, 0))
    view = View.of(volume, volume.voxels[0] > 0, size=20, spacing_mm=1.5)
    restored = view.restore(np.ones((20, 20), np.float32))
    assert 18**2 <= (restored > 0.5).sum() <= 20**2
    assert view.cut(volume.voxels[0], outside=-1.0).min() >= 0
