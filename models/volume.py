"""Images as values: voxels with the exact place of every slice.

A head CT may be tilted and unevenly spaced, so a single affine cannot say where its voxels are.
A `Volume` therefore keeps one position per slice and lets nobody round it away.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidVolume
from models.phase import PhaseEncoding

Vector = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Volume:
    """Parallel slices in the patient's frame (LPS, millimetres).

    Attributes:
        voxels: float32, axes (slice, row, column), in the modality's units (HU for CT).
        positions_mm: float64, (slices, 3): centre of voxel [k, 0, 0], LPS (Image Position Patient).
        row_direction: unit vector along increasing column index (first half of Image Orientation Patient).
        column_direction: unit vector along increasing row index (second half).
        spacing_mm: (between rows, between columns), as in Pixel Spacing.
        sources: SOP Instance UIDs in slice order; empty when the image did not come from DICOM.
        frames: in the same order the number of the slice's frame in that instance, or of its tile in a mosaic, from 1,
            or None where the instance is one slice; empty as `sources` is.
        thickness_mm: Slice Thickness, for a slice that is alone; of several, the way to the next one counts.
        encoding: how an MR series was phase-encoded; None where its headers do not say, and for everything else.

    Raises:
        InvalidVolume: shapes disagree, or slices are not in strictly increasing order along the normal.
    """

    voxels: NDArray[np.float32]
    positions_mm: NDArray[np.float64]
    row_direction: Vector
    column_direction: Vector
    spacing_mm: tuple[float, float]
    sources: tuple[str, ...] = ()
    thickness_mm: float = 1.0
    encoding: PhaseEncoding | None = None
    frames: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3:
            raise InvalidVolume(f"A volume has three axes (slice, row, column); this array has {self.voxels.ndim}.")
        slices = self.voxels.shape[0]
        if self.positions_mm.shape != (slices, 3):
            raise InvalidVolume(f"{slices} slices need {slices} positions; got an array of {self.positions_mm.shape}.")
        if self.sources and len(self.sources) != slices:
            raise InvalidVolume(f"{slices} slices need {slices} source instances; got {len(self.sources)}.")
        if slices > 1 and not (np.diff(self.offsets_mm) > 0).all():
            raise InvalidVolume("Slices must be sorted along the slice normal without two at one position.")

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slices, LPS: row direction x column direction."""
        return np.cross(self.row_direction, self.column_direction)

    @property
    def offsets_mm(self) -> NDArray[np.float64]:
        """Place of each slice along the normal, (slices,)."""
        return self.positions_mm @ self.normal

    @cached_property
    def slab_mm(self) -> NDArray[np.float64]:
        """Thickness each slice stands for, (slices,): half the way to each neighbour, so uneven gaps count fully."""
        offsets = self.offsets_mm
        if len(offsets) == 1:
            return np.array([self.thickness_mm])
        gaps = np.diff(offsets)
        edges = np.concatenate([[gaps[0]], gaps, [gaps[-1]]])
        half_sums: NDArray[np.float64] = (edges[:-1] + edges[1:]) / 2
        return half_sums

    @property
    def voxel_ml(self) -> NDArray[np.float64]:
        """Volume of one voxel of each slice in millilitres, (slices,)."""
        return self.slab_mm * self.spacing_mm[0] * self.spacing_mm[1] / 1000.0

    def measure_ml(self, mask: NDArray[np.bool_]) -> float:
        """Millilitres covered by a mask on this grid, axes (slice, row, column)."""
        if mask.shape != self.voxels.shape:
            raise InvalidVolume(f"The mask is {mask.shape}, the volume {self.voxels.shape}.")
        return float(mask.sum(axis=(1, 2)) @ self.voxel_ml)
