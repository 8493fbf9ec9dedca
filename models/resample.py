"""One image on another's grid, by where both lie in the patient; slices may be tilted and unevenly spaced."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.volume import Volume

SAME_MM = 0.05


def same_grid(first: Volume, second: Volume) -> bool:
    """Whether voxel lies on voxel."""
    return (
        first.voxels.shape == second.voxels.shape
        and np.allclose(first.spacing_mm, second.spacing_mm, atol=1e-3)
        and np.allclose(first.row_direction, second.row_direction, atol=1e-3)
        and np.allclose(first.column_direction, second.column_direction, atol=1e-3)
        and bool(np.abs(first.positions_mm - second.positions_mm).max() < SAME_MM)
    )


def resample(source: Volume, target: Volume, *, outside: float = 0.0) -> NDArray[np.float32]:
    """The source's values at the target's voxels, linear; (slice, row, column) of the target.

    Args:
        outside: value where the source has none.
    """
    if same_grid(source, target):
        return source.voxels
    slices, height, width = target.voxels.shape
    result = np.empty((slices, height, width), np.float32)
    rows = np.arange(height)[:, None, None] * target.spacing_mm[0] * np.array(target.column_direction)
    columns = np.arange(width)[None, :, None] * target.spacing_mm[1] * np.array(target.row_direction)
    plane = rows + columns
    for k, position in enumerate(target.positions_mm):
        result[k] = ndimage.map_coordinates(
            source.voxels, index_of(source, position + plane), order=1, mode="constant", cval=outside
        )
    return result


def index_of(volume: Volume, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places in the patient, (..., 3) LPS mm, as fractional (slice, row, column); (3, ...).

    Half a slice beyond the first and last one still belongs to them; farther out the index lies outside.
    """
    offsets = volume.offsets_mm
    away = points_mm @ volume.normal
    slices = np.interp(away, offsets, np.arange(len(offsets)))
    beyond = np.maximum(offsets[0] - away, away - offsets[-1])
    slices = np.where(beyond > volume.slab_mm[[0, -1]].max() / 2, -10.0, slices)
    origin = np.stack(
        [np.interp(slices, np.arange(len(offsets)), volume.positions_mm[:, axis]) for axis in range(3)], axis=-1
    )
    inside = points_mm - origin
    return np.stack(
        [
            slices,
            inside @ np.array(volume.column_direction) / volume.spacing_mm[0],
            inside @ np.array(volume.row_direction) / volume.spacing_mm[1],
        ]
    )


def place_of(volume: Volume, index: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse: (3, ...) fractional index to (..., 3) LPS mm."""
    numbers = np.arange(len(volume.positions_mm))
    origin = np.stack([np.interp(index[0], numbers, volume.positions_mm[:, axis]) for axis in range(3)], axis=-1)
    down = index[1][..., None] * volume.spacing_mm[0] * np.array(volume.column_direction)
    across = index[2][..., None] * volume.spacing_mm[1] * np.array(volume.row_direction)
    return np.asarray(origin + down + across)
