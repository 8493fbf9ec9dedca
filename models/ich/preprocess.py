"""From a head CT to the network's slices, and from its probabilities back to the acquired grid.

Only in-plane resampling: slices stay as they were acquired, so tilt and uneven spacing never matter. Thin series are
averaged to slabs first, because the network was trained on slices of about 5 mm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.card import Preprocess
from models.errors import InvalidVolume
from models.volume import Volume

TISSUE_HU = -300.0
AIR_HU = -1000.0


@dataclass(frozen=True, eq=False)
class Slices:
    """The network's input, and the way back.

    Attributes:
        images: float32 (slabs, size, size), normalised, rows to the back and columns to the patient's left.
        slab_of: for each acquired slice, the index of its slab, (slices,).
        shape: rows and columns as acquired.
        centre: row and column of the head's middle as acquired.
        step: network pixels per acquired pixel, along rows and columns; negative where the acquired axis runs against
            the network's.
    """

    images: NDArray[np.float32]
    slab_of: NDArray[np.intp]
    shape: tuple[int, int]
    centre: tuple[float, float]
    step: tuple[float, float]

    def slab_mm(self, volume: Volume) -> NDArray[np.float64]:
        """Thickness each slab stands for, (slabs,)."""
        return np.bincount(self.slab_of, weights=volume.slab_mm, minlength=len(self.images)).astype(np.float64)

    def restore(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        """One slab's map (size, size) on the acquired pixels (rows, columns), linear; zero outside the view."""
        size = plane.shape[0]
        offset = [(size - 1) / 2 - c * s for c, s in zip(self.centre, self.step, strict=True)]
        # Samples must be taken in the order of memory: affine_transform wants a positive or negative step alike.
        restored = ndimage.affine_transform(plane, np.array(self.step), offset, self.shape, order=1, cval=0.0)
        return np.asarray(restored, np.float32)


def stacks(images: NDArray[np.float32], neighbours: Sequence[int]) -> NDArray[np.float32]:
    """Each slab with its neighbours, (slabs, neighbours, rows, columns), of (slabs, rows, columns); edges repeat."""
    order = np.arange(len(images))
    return np.stack([images[np.clip(order + distance, 0, len(images) - 1)] for distance in neighbours], axis=1)


def prepare(volume: Volume, settings: Preprocess) -> Slices:
    """Cut the network's view out of a volume.

    Raises:
        InvalidVolume: the slices are not axial, or there is no head in them.
    """
    rows, columns = np.array(volume.column_direction), np.array(volume.row_direction)
    if abs(volume.normal[2]) < 0.6 or abs(rows[1]) < 0.6 or abs(columns[0]) < 0.6:
        raise InvalidVolume("The slices are not axial; this model reads axial head CT.")
    tissue = (volume.voxels > TISSUE_HU).sum(axis=0)
    present = tissue > 0.1 * tissue.max()
    if not present.any():
        raise InvalidVolume("There is no tissue in these slices.")
    centre = tuple(float(np.flatnonzero(present.any(axis=1 - axis))[[0, -1]].mean()) for axis in (0, 1))
    slabs, slab_of = _slabs(volume, settings.slab_mm)
    spacing = volume.spacing_mm
    step = (
        spacing[0] / settings.spacing_mm * float(np.sign(rows[1])),
        spacing[1] / settings.spacing_mm * float(np.sign(columns[0])),
    )
    middle = (settings.size - 1) / 2
    inverse = [1 / s for s in step]
    widths = [max(1, round(abs(i))) for i in inverse]
    # A mean over an even number of pixels lies half a pixel before the one it is written to.
    offset = [c - middle * i + (w % 2 == 0) / 2 for c, i, w in zip(centre, inverse, widths, strict=True)]
    images = np.empty((len(slabs), settings.size, settings.size), np.float32)
    low, high = settings.window
    for k, slab in enumerate(slabs):
        # Windowed before resampling, so that bone does not bleed into the brain beside it; averaged before decimating.
        smooth = ndimage.uniform_filter(np.clip(slab, low, high), widths)
        images[k] = ndimage.affine_transform(
            smooth, np.array(inverse), offset, (settings.size, settings.size), order=1, cval=low
        )
    return Slices(
        images=(images - settings.centre) / settings.scale,
        slab_of=slab_of,
        shape=(volume.voxels.shape[1], volume.voxels.shape[2]),
        centre=(centre[0], centre[1]),
        step=step,
    )


def _slabs(volume: Volume, slab_mm: float) -> tuple[list[NDArray[np.float32]], NDArray[np.intp]]:
    """Slices averaged to about `slab_mm`, inferior to superior; slices that thick already stay alone."""
    upwards = volume.normal[2] > 0
    slab_of = np.zeros(len(volume.voxels), np.intp)
    together = 0.0
    for k, thickness in enumerate(volume.slab_mm if upwards else volume.slab_mm[::-1]):
        # Slice by slice, because one series may have thin slices at the skull base and thick ones above.
        joins = abs(together + thickness - slab_mm) < abs(together - slab_mm)
        slab_of[k] = slab_of[k - 1] + (not joins) if k else 0
        together = together + thickness if joins else thickness
    if not upwards:
        slab_of = slab_of[::-1]
    return [volume.voxels[slab_of == k].mean(axis=0) for k in range(int(slab_of.max()) + 1)], slab_of
