"""The worklist's picture: brain window, true proportions, outlines around and not over the finding."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.preview import OUTLINE, render_preview
from models.volume import Volume


def picture(volume: Volume, mask: NDArray[np.uint8], **options: bool) -> NDArray[np.uint8]:
    png = render_preview(volume, mask, 1, size=160, **options)
    image = Image.open(BytesIO(png))
    assert image.format == "PNG"
    return np.array(image)


def volume(rows_mm: float = 1.0) -> Volume:
    voxels = np.zeros((3, 80, 80), np.float32)
    voxels[1] = 40
    return Volume(voxels, np.arange(3.0)[:, None] * [0, 0, 1], (1, 0, 0), (0, 1, 0), (rows_mm, 1.0))


def test_the_brain_window_puts_40_hu_in_the_middle() -> None:
    pixels = picture(volume(), np.zeros((3, 80, 80), np.uint8))
    assert pixels.shape == (160, 160, 3)
    assert np.abs(pixels.astype(int) - 127).max() <= 1


def test_a_finding_is_outlined_and_stays_visible() -> None:
    mask = np.zeros((3, 80, 80), np.uint8)
    mask[1, 20:40, 30:60] = 3
    pixels = picture(volume(), mask)
    outline = (pixels == OUTLINE).all(axis=2)
    assert outline.any()
    assert not outline[44:76, 64:116].any()
    rows, columns = np.nonzero(outline)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (39, 80, 59, 120)
    assert not (picture(volume(), mask, outlines=False) == OUTLINE).all(axis=2).any()


def test_proportions_follow_the_pixel_spacing() -> None:
    pixels = picture(volume(rows_mm=2.0), np.zeros((3, 80, 80), np.uint8))
    filled = pixels[80, :, 0] > 0
    assert filled.sum() == 80
    assert filled[40:120].all()
