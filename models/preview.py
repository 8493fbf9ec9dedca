"""The worklist's picture of a study: the slice that shows the finding best, outlined."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from models.volume import Volume

BRAIN_WINDOW = (0.0, 80.0)
"""HU."""

BRIGHTEST = 99.8
"""Percentile of the tissue that an MR picture shows as white: a bright lesion keeps its form."""

OUTLINE = (255, 196, 61)


def render_preview(
    volume: Volume,
    segmentation: NDArray[np.uint8],
    key_slice: int,
    *,
    modality: str = "CT",
    size: int = 192,
    outlines: bool = True,
) -> bytes:
    """A square PNG of one slice, findings outlined: CT in the brain window, MR in a window of its own.

    Args:
        segmentation: uint8 (slice, row, column) on the volume's grid.
        key_slice: 0-based, in the volume's order.
        size: edge of the picture in pixels; the slice's own proportions are kept.
    """
    low, high = display_window(volume, modality)
    grey = np.clip((volume.voxels[key_slice] - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    image = Image.fromarray(grey).convert("RGB")
    mask = Image.fromarray((segmentation[key_slice] > 0).astype(np.uint8) * 255)
    height, width = np.array(grey.shape) * volume.spacing_mm
    scale = size / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.array(image.resize(shape, Image.Resampling.BILINEAR))
    if outlines:
        inside = np.array(mask.resize(shape, Image.Resampling.BILINEAR)) > 127
        picture[ndimage.binary_dilation(inside) & ~inside] = OUTLINE
    square = Image.new("RGB", (size, size))
    square.paste(Image.fromarray(picture), ((size - shape[0]) // 2, (size - shape[1]) // 2))
    buffer = BytesIO()
    square.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def display_window(volume: Volume, modality: str) -> tuple[float, float]:
    """Values shown black and white: the brain window for CT; MR has no units, so from none to the brightest tissue."""
    if modality == "CT":
        return BRAIN_WINDOW
    tissue = volume.voxels[volume.voxels > 0]
    return 0.0, float(np.percentile(tissue, BRIGHTEST)) if tissue.size else 1.0
