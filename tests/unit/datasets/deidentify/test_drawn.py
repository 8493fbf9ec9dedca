"""Strokes of one value are found where letters touch and run from dark onto bright ground; grain has none."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from services.datasets.deidentify.drawn import find_drawn


def ultrasound(seed: int = 0) -> NDArray[np.uint8]:
    """Dark to the left, bright to the right, smooth grain of 8 bits without clipping."""
    grain = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 30, (160, 240)), 1.2)
    return np.clip(np.linspace(10, 190, 240)[None] + grain, 1, 245).astype(np.uint8)


@pytest.mark.parametrize("value", [200, 255])
def test_letters_of_a_pixel_font_are_covered_across_an_edge(value: int) -> None:
    layer = Image.new("1", (240, 160), 0)
    ImageDraw.Draw(layer).text((40, 80), "KOWALCZYK 25489", fill=1, font=ImageFont.load_default_imagefont())
    letters = np.asarray(layer)
    plane = np.where(letters, value, ultrasound()).astype(np.uint8)
    covered = np.zeros(plane.shape, bool)
    for box in find_drawn(plane):
        grown = box.grown(plane.shape)
        covered[grown.top : grown.bottom, grown.left : grown.right] = True
    assert (covered & letters).sum() == letters.sum()


@pytest.mark.parametrize("seed", range(3))
def test_grain_is_not_drawn(seed: int) -> None:
    assert find_drawn(ultrasound(seed)) == []


def test_a_plane_of_one_value_holds_nothing() -> None:
    assert find_drawn(np.full((40, 40), 9, np.uint8)) == []
