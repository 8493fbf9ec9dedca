"""An image's figures: of the head and not of the air around it, in its own units."""

from dataclasses import replace

import numpy as np
import pytest

from models.describe import ENOUGH, describe
from models.volume import Volume


def _volume(slices: int = 10, size: int = 64) -> Volume:
    voxels = np.full((slices, size, size), -1000, np.float32)
    middle = slice(size // 4, -size // 4)
    voxels[:, middle, middle] = np.linspace(20, 60, (size // 2) ** 2).reshape(size // 2, size // 2)
    return Volume(
        voxels=voxels,
        positions_mm=np.arange(slices)[:, None] * np.array([[0.0, 0.0, 5.0]]),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(0.4, 0.6),
    )


@pytest.mark.parametrize("size", [64, 512])
def test_figures_are_of_what_is_brighter_than_air(size: int) -> None:
    volume = _volume(size=size)
    assert (volume.voxels.size > ENOUGH) == (size == 512)
    found = describe(volume)
    assert found == pytest.approx({"intensity": 40, "contrast": 36, "pixel mm": 0.5, "slice step mm": 5}, rel=0.02)


def test_one_slice_and_an_empty_image_have_figures_too() -> None:
    volume = _volume(slices=1)
    assert describe(volume)["slice step mm"] == 0
    blank = replace(volume, voxels=np.zeros_like(volume.voxels))
    assert describe(blank)["intensity"] == describe(blank)["contrast"] == 0
