"""Between a volume as acquired and the grid a network wants: its axes, their directions, its spacing.

Slices in uneven steps are brought to even ones first. A tilted gantry's stack is taken upright, as networks see it that
were trained on such images.
"""

from dataclasses import dataclass
from typing import Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.nifti import grid_of
from models.sliding.settings import Sliding
from models.volume import Volume

Array = NDArray[np.float32]
UNEVEN = 0.02
"""Steps that differ by less than this share of their mean are even."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One acquired grid and the network's.

    Attributes:
        shape: (slices, rows, columns) as acquired.
        places: each acquired slice on the even stack, in its slices; None where slices are even.
        turn, back: nibabel's orientation arrays, from (column, row, slice) to the network's axes and from there.
        turned: shape in the network's axes, at the acquired spacing.
        size: shape of the network's grid.
    """

    shape: tuple[int, int, int]
    places: NDArray[np.float64] | None
    turn: NDArray[np.float64]
    back: NDArray[np.float64]
    turned: tuple[int, ...]
    size: tuple[int, ...]

    def forth(self, voxels: Array, *, cubic: bool = False) -> Array:
        """(slice, row, column) to the network's grid."""
        if self.places is not None:
            voxels = _along_slices(voxels, np.interp(np.arange(len(self.places)), self.places, np.arange(len(voxels))))
        turned = nib.orientations.apply_orientation(voxels.transpose(2, 1, 0), self.turn)
        return _resize(np.ascontiguousarray(turned, np.float32), self.size, order=3 if cubic else 1)

    def restore(self, values: Array) -> Array:
        """The network's grid to (slice, row, column), linear."""
        turned = _resize(values, self.turned, order=1)
        voxels = nib.orientations.apply_orientation(turned, self.back).transpose(2, 1, 0)
        return np.ascontiguousarray(voxels if self.places is None else _along_slices(voxels, self.places))


def frame_of(volume: Volume, settings: Sliding) -> Frame:
    """The frame of a volume for one network."""
    own = nib.io_orientation(grid_of(volume).affine)
    wanted = nib.orientations.axcodes2ornt(tuple(settings.axes))
    turn = nib.orientations.ornt_transform(own, wanted)
    back = nib.orientations.ornt_transform(wanted, own)
    slices, rows, columns = volume.voxels.shape
    offsets = volume.offsets_mm
    step = float(offsets[-1] - offsets[0]) / (slices - 1) if slices > 1 else float(volume.slab_mm[0])
    even = slices < 3 or float(np.ptp(np.diff(offsets))) <= UNEVEN * step
    acquired_mm = (volume.spacing_mm[1], volume.spacing_mm[0], step)
    turned, spacing_mm = [0, 0, 0], [0.0, 0.0, 0.0]
    for axis, count in enumerate((columns, rows, slices)):
        to = int(turn[axis, 0])
        turned[to], spacing_mm[to] = count, acquired_mm[axis]
    return Frame(
        shape=(slices, rows, columns),
        places=None if even else (offsets - offsets[0]) / step,
        turn=turn,
        back=back,
        turned=tuple(turned),
        size=tuple(
            max(1, round(n * mm / (want or mm)))
            for n, mm, want in zip(turned, spacing_mm, settings.spacing_mm, strict=True)
        ),
    )


def _along_slices(voxels: Array, places: NDArray[np.float64]) -> Array:
    low = np.clip(np.floor(places).astype(np.intp), 0, len(voxels) - 1)
    high = np.minimum(low + 1, len(voxels) - 1)
    share = (places - low).astype(np.float32)[:, None, None]
    return np.asarray(voxels[low] * (1 - share) + voxels[high] * share, np.float32)


def _resize(values: Array, size: tuple[int, ...], *, order: Literal[1, 3]) -> Array:
    """To another number of voxels over the same room, edge on edge."""
    if values.shape == size:
        return values
    zoom = [new / old for new, old in zip(size, values.shape, strict=True)]
    return np.asarray(ndimage.zoom(values, zoom, order=order, mode="nearest", grid_mode=True), np.float32)
