"""Which frequencies a zero-filled image lacks, seen in its own k-space: for images whose headers are lost."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from models.phase import PhaseEncoding
from models.volume import Volume

LOWEST, HIGHEST = 0.27, 0.45
"""Where along an axis an edge is looked for, cycles per pixel; a cut of a tenth or less is none."""

REACH = 0.02
"""How far to either side of an edge power is averaged, cycles per pixel."""

DROP_DB = 5.0
"""An image that was acquired whole fades more slowly than this anywhere."""

MOST_SLICES = 24


def find_encoding(volume: Volume) -> PhaseEncoding | None:
    """The axis whose finer frequencies are missing while the other's are there; None where there is no such axis."""
    step = max(1, len(volume.voxels) // MOST_SLICES)
    voxels = volume.voxels[::step]
    edges = {axis: _edge(voxels, axis) for axis in (1, 2)}
    axis = max(edges, key=lambda one: edges[one][1])
    cut, drop = edges[axis]
    other, other_drop = edges[3 - axis]
    if drop < DROP_DB:
        return None
    readout = other if other_drop >= DROP_DB else 0.5
    full = min(0.5, readout * volume.spacing_mm[axis - 1] / volume.spacing_mm[2 - axis])
    return PhaseEncoding(axis=axis, measured=cut, readout=readout, full=full)


def _edge(voxels: NDArray[np.float32], axis: int) -> tuple[float, float]:
    """Where power along an axis falls most steeply, cycles per pixel, and by how much, dB."""
    pixels = voxels.shape[axis]
    spectrum = np.abs(fft.rfft(voxels, axis=axis)) ** 2
    power = 10 * np.log10(spectrum.mean(axis=tuple(k for k in range(3) if k != axis)) + 1e-12)
    bins = np.asarray(fft.rfftfreq(pixels), np.float64)
    reach = max(2, round(REACH * pixels))
    best = (0.5, 0.0)
    for k in np.flatnonzero((bins >= LOWEST) & (bins <= HIGHEST)).tolist():
        # The phase of the image makes an edge a bin or two wide in its magnitude's k-space.
        below, above = power[max(0, k - reach) : k], power[k + 2 : k + 2 + reach]
        # Every value before an edge stands above every one behind it; a mean would see edges in a few strong lines.
        drop = float(below.min() - above.max())
        if above.size >= 2 and drop > best[1]:
            best = (float((bins[k] + bins[min(k + 1, len(bins) - 1)]) / 2), drop)
    return best
