"""A head with a tumour for tests, in milliseconds, on any grid: spheres in an ellipsoid, looked up at each voxel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.resample import place_of
from models.volume import Volume

CENTRE_MM = (32.0, -8.0, 10.0)
WHOLE_MM, BODY_MM, ENHANCING_MM = 22.0, 15.0, 9.0
"""Radii of the tumour with its oedema, its body, and what of it enhances: that lies inside."""

SIGNAL = {  # usual brain, CSF, oedema, body, what enhances
    "T1c": (100, 30, 90, 80, 210),
    "FLAIR": (100, 20, 200, 190, 180),
    "T2": (100, 250, 165, 260, 240),
    "T1": (100, 30, 85, 70, 72),
}


@dataclass(frozen=True)
class Place:
    """How the head lies in the scanner: shifted, LPS mm, and turned about its middle."""

    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turned_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)


def axial(slices: int = 30, step_mm: float = 5.0, rows: int = 100, spacing_mm: float = 2.2) -> Volume:
    """An empty grid around the middle."""
    heights = (np.arange(slices) - (slices - 1) / 2) * step_mm
    corner = -(rows - 1) / 2 * spacing_mm
    positions = np.stack([np.full(slices, corner), np.full(slices, corner), heights], axis=1)
    empty = np.zeros((slices, rows, rows), np.float32)
    return Volume(empty, positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (spacing_mm, spacing_mm))


def sagittal(slices: int = 60, step_mm: float = 3.0, rows: int = 100, spacing_mm: float = 2.2) -> Volume:
    """Likewise; rows run down, columns to the back."""
    across = (np.arange(slices) - (slices - 1) / 2) * step_mm
    corner = (rows - 1) / 2 * spacing_mm
    # The normal of these axes points to the patient's right.
    positions = np.stack([-across, np.full(slices, -corner), np.full(slices, corner)], axis=1)
    empty = np.zeros((slices, rows, rows), np.float32)
    return Volume(empty, positions, (0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (spacing_mm, spacing_mm))


def scan(role: str, grid: Volume, place: Place | None = None, *, tumour: bool = True, seed: int = 0) -> Volume:
    """The head in one sequence."""
    at = _anatomy(grid, place or Place(), tumour=tumour)
    outside, noise = np.array([0.0, 55.0]), np.random.default_rng(seed).normal(0, 3, at.shape)
    values = np.concatenate([outside, SIGNAL[role]])
    return _with(grid, np.abs(values[at] + noise))


def truth(grid: Volume) -> NDArray[np.uint8]:
    """Labels of the head where it was not moved: 1 non-enhancing, 2 oedema, 3 enhancing."""
    at = _anatomy(grid, Place(), tumour=True)
    return np.array([0, 0, 0, 0, 2, 1, 3], np.uint8)[at]


def _anatomy(grid: Volume, place: Place, *, tumour: bool) -> NDArray[np.intp]:
    """0 air, 1 scalp, 2 brain, 3 CSF, 4 oedema, 5 body, 6 what enhances."""
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in grid.voxels.shape], indexing="ij"))
    points = place_of(grid, index) - np.array(place.shift_mm)
    points = points @ Rotation.from_euler("xyz", place.turned_deg, degrees=True).as_matrix()
    x, y, z = np.moveaxis(points, -1, 0)
    r = np.sqrt((x / 66) ** 2 + (y / 82) ** 2 + (z / 62) ** 2)
    found = np.where(r < 1, 2, np.where((r > 1.1) & (r < 1.2), 1, 0))
    ventricle = ((np.abs(x) - 10) / 6) ** 2 + ((y + 5) / 26) ** 2 + ((z - 4) / 13) ** 2 < 1
    found[ventricle | ((r > 0.95) & (r < 1))] = 3
    # Nothing of a head is symmetric in all directions; registration needs that.
    found[(x / 12) ** 2 + ((y - 60) / 10) ** 2 + ((z + 35) / 12) ** 2 < 1] = 3
    if tumour:
        away = np.linalg.norm(points - np.array(CENTRE_MM), axis=-1)
        for value, radius in ((4, WHOLE_MM), (5, BODY_MM), (6, ENHANCING_MM)):
            found[(away < radius) & (r < 0.95)] = value
    return np.asarray(found, np.intp)


def _with(grid: Volume, voxels: NDArray[np.float64]) -> Volume:
    return Volume(
        voxels.astype(np.float32), grid.positions_mm, grid.row_direction, grid.column_direction, grid.spacing_mm
    )
