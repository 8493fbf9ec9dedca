"""Signal and contrast to noise from regions placed automatically: air in the corners, tissue in the head. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.volume import Volume

RAYLEIGH = 0.655
"""Standard deviation of the magnitude of noise alone over that of the noise (Gudbjartsson & Patz, MRM 1995;34:910)."""

CORNER = 8
"""A corner's side is the image's over this."""

INSET_MM = 12.0
"""Tissue is looked for so far below the head's surface: scalp and skull stay out."""


@dataclass(frozen=True)
class Signal:
    """Attributes:
    snr: mean of tissue over the standard deviation of noise.
    cnr: difference of the two kinds of tissue that the image parts best, over the same.
    """

    snr: float
    cnr: float


def measure_signal(volume: Volume) -> Signal | None:
    """Of the middle third of a head's slices; None where there is no head, or no noise around it: it was cut away.

    One coil's magnitude image is assumed; of several coils combined the figures compare like with like only.
    """
    count = volume.voxels.shape[0]
    part = volume.voxels[count // 3 : max(count // 3 + 1, 2 * count // 3)]
    level = otsu(part)
    head = ndimage.binary_fill_holes(part > level, structure=np.ones((1, 3, 3), bool)) if level is not None else None
    if level is None or head is None or not head.any():
        return None
    air = _corners(part.shape) & ~ndimage.binary_dilation(head, np.ones((1, 3, 3), bool), iterations=3)
    depth = ndimage.distance_transform_edt(head, sampling=(1e6, *volume.spacing_mm))
    inside = part[np.asarray(depth) > INSET_MM]
    noise = float(part[air].std()) / RAYLEIGH if air.sum() >= 100 else 0.0
    between = otsu(inside)
    if noise == 0 or between is None:
        return None
    low, high = inside[inside <= between], inside[inside > between]
    return Signal(float(inside.mean()) / noise, float(high.mean() - low.mean()) / noise)


def otsu(values: NDArray[np.float32]) -> float | None:
    """The threshold that parts values into the two most different classes; None where all are one.

    Source: Otsu, IEEE Trans Syst Man Cybern 1979;9:62-66.
    """
    if values.size == 0 or values.min() == values.max():
        return None
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[int(np.nanargmax(between)) + 1])


def _corners(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    corners = np.zeros(shape, bool)
    rows, columns = max(1, shape[1] // CORNER), max(1, shape[2] // CORNER)
    for row in (slice(None, rows), slice(-rows, None)):
        for column in (slice(None, columns), slice(-columns, None)):
            corners[:, row, column] = True
    return corners
