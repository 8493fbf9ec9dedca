"""The square of pixels that a network looks at in axial slices, and the way back. Slices stay as they were acquired."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.volume import Volume

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """A square around the middle of what is looked at; rows to the back, columns to the patient's left.

    Attributes:
        size: rows and columns of the square.
        shape: rows and columns as acquired.
        centre: row and column of the middle as acquired.
        step: pixels of the square per acquired pixel, along rows and columns; negative where the acquired axis runs
            against the square's.
    """

    size: int
    shape: tuple[int, int]
    centre: tuple[float, float]
    step: tuple[float, float]

    @classmethod
    def of(cls, volume: Volume, shown: NDArray[np.bool_], *, size: int, spacing_mm: float) -> "View":
        """The view of axial slices whose middle is that of the box of `shown`, (rows, columns), which is not empty."""
        rows, columns = (np.flatnonzero(shown.any(axis=1 - axis))[[0, -1]].mean() for axis in (0, 1))
        signs = np.sign([volume.column_direction[1], volume.row_direction[0]])
        down, across = (mm / spacing_mm * sign for mm, sign in zip(volume.spacing_mm, signs, strict=True))
        height, width = volume.voxels.shape[1:]
        return cls(size, (height, width), (float(rows), float(columns)), (float(down), float(across)))

    def cut(self, plane: Plane, *, outside: float = 0.0) -> Plane:
        """An acquired plane (rows, columns) in the view (size, size), linear, averaged first where it is finer."""
        inverse = [1 / step for step in self.step]
        widths = [max(1, round(abs(i))) for i in inverse]
        # A mean over an even number of pixels lies half a pixel before the one it is written to.
        offset = [
            c - (self.size - 1) / 2 * i + (w % 2 == 0) / 2 for c, i, w in zip(self.centre, inverse, widths, strict=True)
        ]
        smooth = ndimage.uniform_filter(plane, widths) if max(widths) > 1 else plane
        shape = (self.size, self.size)
        cut = ndimage.affine_transform(smooth, np.array(inverse), offset, shape, order=1, cval=outside)
        return np.asarray(cut, np.float32)

    def restore(self, plane: Plane) -> Plane:
        """A map in the view (size, size) on the acquired pixels (rows, columns), linear; zero outside the view."""
        offset = [(self.size - 1) / 2 - c * s for c, s in zip(self.centre, self.step, strict=True)]
        restored = ndimage.affine_transform(plane, np.array(self.step), offset, self.shape, order=1, cval=0.0)
        return np.asarray(restored, np.float32)
