"""The localiser of a head: the axial slices seen from the side and from the front."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from models.volume import Volume

_MARGIN_MM = 20.0


@dataclass(frozen=True, eq=False)
class Projection:
    """A projected image and its place.

    Attributes:
        image: HU-like attenuation, axes (row from superior to inferior, column).
        position_mm: centre of the first pixel, LPS.
        row_direction: unit vector along increasing column index.
        column_direction: unit vector along increasing row index.
        spacing_mm: between rows and between columns.
    """

    image: NDArray[np.float32]
    position_mm: NDArray[np.float64]
    row_direction: tuple[float, float, float]
    column_direction: tuple[float, float, float]
    spacing_mm: float


def project(volume: Volume, view: Literal["lateral", "frontal"], *, spacing_mm: float = 1.0) -> Projection:
    """Project axial slices, tilted or not, onto a plane along the table.

    Args:
        volume: HU; rows run along the patient's x axis, columns within the y-z plane.
    """
    axis = 2 if view == "lateral" else 1
    attenuation = np.clip(volume.voxels + 1000.0, 0.0, 4000.0).mean(axis=axis) / 1000.0
    step = volume.spacing_mm[0] if view == "lateral" else volume.spacing_mm[1]
    along = np.asarray(volume.column_direction if view == "lateral" else volume.row_direction)
    length_mm = attenuation.shape[1] * step
    first, last = volume.positions_mm[0], volume.positions_mm[-1]
    heights = volume.positions_mm[:, 2]
    columns = int(length_mm / spacing_mm)
    top = max(first[2], last[2], (last + along * length_mm)[2]) + _MARGIN_MM
    bottom = min(first[2], (first + along * length_mm)[2]) - _MARGIN_MM
    rows = int((top - bottom) / spacing_mm)
    z = top - spacing_mm * np.arange(rows)[:, None]
    across = spacing_mm * np.arange(columns)[None, :] + np.zeros((rows, 1))
    index = across / step
    if view == "lateral":
        index = index / along[1]  # columns of the projection run along y; the slice's own run obliquely when tilted
    slices = np.interp(z - index * step * along[2], heights, np.arange(len(heights)), left=-2, right=len(heights) + 1)
    image = map_coordinates(attenuation, [slices, index], order=1, cval=0.0)
    direction = (0.0, 1.0, 0.0) if view == "lateral" else (1.0, 0.0, 0.0)
    position = np.array([0.0, first[1], top]) if view == "lateral" else np.array([first[0], 0.0, top])
    return Projection((image * 1400.0 - 1000.0).astype(np.float32), position, direction, (0.0, 0.0, -1.0), spacing_mm)
