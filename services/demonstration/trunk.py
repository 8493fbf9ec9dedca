"""An abdomen of simple shapes: something a head model must not be run on."""

import numpy as np
from numpy.typing import NDArray

from models.volume import Volume

# (HU, centre x, y, z, half axes x, y, z): ellipsoids, millimetres from the middle of the trunk; later ones lie on top.
_ORGANS: tuple[tuple[float, float, float, float, float, float, float], ...] = (
    (-100.0, 0, 0, 0, 170, 115, 900),
    (45.0, 0, 0, 0, 150, 97, 900),
    (-60.0, 0, -15, 0, 120, 62, 900),
    (58.0, -70, -20, 40, 72, 62, 75),
    (48.0, 85, 15, 45, 32, 36, 50),
    (32.0, -62, 42, -10, 26, 22, 52),
    (32.0, 62, 42, -6, 26, 22, 54),
    (20.0, 45, -45, 10, 34, 24, 60),
    (42.0, 8, 30, 0, 11, 11, 900),
    (320.0, 0, 62, 0, 26, 20, 900),
    (25.0, 0, 88, 0, 9, 9, 900),
)


def synthesize_trunk(*, matrix: int, slices: int, step_mm: float, noise_hu: float, seed: int) -> Volume:
    """An axial volume in HU, slices from inferior to superior."""
    spacing = 380.0 / matrix
    across = (np.arange(matrix) - (matrix - 1) / 2) * spacing
    heights = (np.arange(slices) - (slices - 1) / 2) * step_mm
    x, y, z = across[None, None, :], across[None, :, None], heights[:, None, None]
    voxels: NDArray[np.float32] = np.full((slices, matrix, matrix), -1000.0, np.float32)
    for hounsfield, cx, cy, cz, ax, ay, az in _ORGANS:
        inside = ((x - cx) / ax) ** 2 + ((y - cy) / ay) ** 2 + ((z - cz) / az) ** 2 < 1.0
        voxels[inside] = hounsfield
    voxels += np.random.default_rng(seed).normal(0.0, noise_hu, voxels.shape).astype(np.float32)
    positions = np.column_stack([np.full(slices, across[0]), np.full(slices, across[0]), heights])
    return Volume(voxels, positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (spacing, spacing))
