"""Signal and contrast to noise from regions placed automatically: air in the corners, tissue in the head. Pure.

Where a scanner cut the air away, noise is what is left of tissue once everything smooth is taken from it.
"""

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


_SECOND_DIFFERENCES = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""Of neighbours in a slice, along both axes: nothing is left of planes and slopes, of noise six times its deviation."""

MEDIAN = 0.6745
"""Median of the magnitude of normal noise over its standard deviation."""


@dataclass(frozen=True)
class Signal:
    """Attributes:
    snr: mean of tissue over the standard deviation of noise.
    cnr: difference of the two kinds of tissue that the image parts best, over the same.
    in_air: whether the noise was measured in air; else it was estimated in tissue.
    """

    snr: float
    cnr: float
    in_air: bool


def measure_signal(volume: Volume) -> Signal | None:
    """Of the middle third of a head's slices; None where there is no head, or no noise at all.

    In air one coil's magnitude image is assumed; of several coils combined the figures compare like with like only.
    """
    count = volume.voxels.shape[0]
    part = volume.voxels[count // 3 : max(count // 3 + 1, 2 * count // 3)]
    level = otsu(part)
    head = ndimage.binary_fill_holes(part > level, structure=np.ones((1, 3, 3), bool)) if level is not None else None
    if level is None or head is None or not head.any():
        return None
    air = _corners(part.shape) & ~ndimage.binary_dilation(head, np.ones((1, 3, 3), bool), iterations=3)
    depth = ndimage.distance_transform_edt(head, sampling=(1e6, *volume.spacing_mm))
    tissue = np.asarray(depth) > INSET_MM
    inside = part[tissue]
    noise = float(part[air].std()) / RAYLEIGH if air.sum() >= 100 else 0.0
    in_air = noise > 0
    if not in_air and tissue.any():
        noise = _noise_in(part, tissue)
    between = otsu(inside)
    if noise == 0 or between is None:
        return None
    low, high = inside[inside <= between], inside[inside > between]
    return Signal(float(inside.mean()) / noise, float(high.mean() - low.mean()) / noise, in_air)


def _noise_in(part: NDArray[np.float32], tissue: NDArray[np.bool_]) -> float:
    """Standard deviation of noise in a region, from second differences; a median, so that edges count little.

    Interpolated images have smoother noise, of which this finds less.
    Source: Immerkaer, Comput Vis Image Underst 1996;64:300-302, with a median for the mean.
    """
    rough = ndimage.convolve(part, _SECOND_DIFFERENCES[None])
    return float(np.median(np.abs(rough[tissue]))) / (6 * MEDIAN)


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
