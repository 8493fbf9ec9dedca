"""Heads drawn from a few solids, in milliseconds: skull, brain and one round bleed, as CT."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.volume import Volume

SHAPE, SPACING_MM, STEP_MM = (12, 96, 96), 2.4, 10.0
BRAIN_HU, SKULL_HU, SCALP_HU, AIR_HU = 33.0, 900.0, 20.0, -1000.0
RADIUS_MM = (9.0, 17.0)


@dataclass(frozen=True, eq=False)
class DrawnHead:
    """labels: uint8, 1 where it bleeds; brain, left: where the brain is, and the patient's left of the midline."""

    volume: Volume
    labels: NDArray[np.uint8]
    brain: NDArray[np.bool_]
    left: NDArray[np.bool_]


def draw_head(rng: np.random.Generator, blood_hu: float) -> DrawnHead:
    """A head with a bleed of about this density, somewhere in the brain."""
    z, y, x = (
        ((np.arange(n) - (n - 1) / 2) * mm).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (n, mm) in enumerate(zip(SHAPE, (STEP_MM, SPACING_MM, SPACING_MM), strict=True))
    )

    def reach(*radii: float) -> NDArray[np.float64]:
        return np.asarray((x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2)

    size = rng.uniform(0.94, 1.06)
    brain = reach(64 * size, 80 * size, 60 * size) < 1
    voxels = np.full(SHAPE, AIR_HU)
    voxels[reach(79 * size, 95 * size, 75 * size) < 1] = SCALP_HU
    voxels[reach(73 * size, 89 * size, 69 * size) < 1] = SKULL_HU
    voxels[brain] = BRAIN_HU
    radius = rng.uniform(*RADIUS_MM)
    centre = rng.uniform((-25, -40, -30), (25, 40, 30))
    bleed = ((x - centre[2]) ** 2 + (y - centre[1]) ** 2 + (z - centre[0]) ** 2 < radius**2) & brain
    voxels[bleed] = rng.normal(blood_hu, 1.5)
    voxels += ndimage.gaussian_filter(rng.normal(0, 1, SHAPE), (0.5, 3, 3)) * 10 * brain + rng.normal(0, 2.5, SHAPE)
    heights = (np.arange(SHAPE[0]) - (SHAPE[0] - 1) / 2) * STEP_MM
    corner = np.array([-(SHAPE[2] - 1) / 2 * SPACING_MM, -(SHAPE[1] - 1) / 2 * SPACING_MM, 0.0])
    volume = Volume(
        voxels=np.clip(np.rint(voxels), -1000, 3000).astype(np.float32),
        positions_mm=corner + heights[:, None] * np.array([0.0, 0.0, 1.0]),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(SPACING_MM, SPACING_MM),
    )
    return DrawnHead(volume, bleed.astype(np.uint8), brain, np.broadcast_to(x > 0, SHAPE))
