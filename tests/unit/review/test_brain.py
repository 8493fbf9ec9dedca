"""Where the brain is on MR sequences, for the hint that something was drawn outside it."""

from dataclasses import replace

import numpy as np
import pytest
from support.mr import Grid, volume

from services.review.brain import brain_on

GRID = Grid()


def _ellipsoid(reach: float) -> np.ndarray:
    z, y, x = (
        ((np.arange(n) - (n - 1) / 2) * mm).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (n, mm) in enumerate(zip(GRID.shape, GRID.spacing_mm, strict=True))
    )
    return np.asarray(np.sqrt((x / 66) ** 2 + (y / 82) ** 2 + (z / 68) ** 2) < reach)


@pytest.mark.parametrize("role", ["T1c", "FLAIR", "DWI"])
def test_brain_with_tumour_is_inside_and_scalp_and_air_are_outside(role: str) -> None:
    brain = brain_on(volume(role, GRID))
    assert brain is not None
    assert brain.shape == GRID.shape
    inside = _ellipsoid(0.95)
    assert brain[inside].mean() > 0.98
    assert brain[~_ellipsoid(1.22)].mean() < 0.02


def test_what_is_no_head_has_no_brain() -> None:
    head = volume("T1c", GRID)
    assert brain_on(replace(head, voxels=np.zeros(GRID.shape, np.float32))) is None
    assert brain_on(replace(head, spacing_mm=(0.8, 0.8))) is None, "far too small for one"
