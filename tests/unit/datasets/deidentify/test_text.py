"""Letters are found whatever their size, brightness and direction; pictures of noise and solids hold none."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from services.datasets.deidentify.text import find_text


def body(seed: int = 0) -> NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:256, :256] / 256 - 0.5
    inside = np.hypot(rows / 0.4, columns / 0.35) < 1
    bone = np.abs(np.hypot(rows / 0.4, columns / 0.35) - 0.95) < 0.05
    return (inside * 1040 + bone * 900 - 1000 + rng.normal(0, 12, inside.shape)).astype(np.int16)


def written(
    plane: NDArray[np.int16], size: int, value: int, *, turned: bool
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    layer = Image.new("L", plane.shape[::-1], 0)
    draw = ImageDraw.Draw(layer)
    draw.text((8, 8), "DOE JOHN 19580312", fill=255, font=ImageFont.load_default(size=size))
    share = np.asarray(layer) / 255.0
    share = share.T if turned else share
    return (plane * (1 - share) + value * share).astype(np.int16), share > 0.5


@pytest.mark.parametrize("size", [12, 16, 22])
@pytest.mark.parametrize("value", [900, 3071])
@pytest.mark.parametrize("turned", [False, True])
def test_text_is_covered(size: int, value: int, turned: bool) -> None:
    plane, letters = written(body(), size, value, turned=turned)
    covered = np.zeros(plane.shape, bool)
    for box in find_text(plane):
        grown = box.grown(plane.shape)
        covered[grown.top : grown.bottom, grown.left : grown.right] = True
    assert (covered & letters).sum() == letters.sum()


@pytest.mark.parametrize("seed", range(3))
def test_a_body_without_text_has_none(seed: int) -> None:
    assert find_text(body(seed)) == []


@pytest.mark.parametrize("seed", range(3))
def test_noise_in_few_shades_and_clipped_lakes_are_no_text(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert find_text(np.abs(rng.normal(0, 18, (128, 128))).astype(np.uint16)) == []
    rows, columns = np.mgrid[:128, :128]
    plane = rng.normal(800, 60, (128, 128))
    for row, column, size in rng.integers([30, 30, 3], [98, 98, 12], (9, 3)):
        plane[np.hypot(rows - row, columns - column) < size] = 4000
    assert find_text(np.clip(plane, 0, 4000).astype(np.uint16)) == []


def test_nothing_is_found_in_a_picture_of_one_value() -> None:
    assert find_text(np.full((64, 64), 7, np.uint8)) == []
