"""A head for diffusion tests in milliseconds: an ellipsoid of brain with ventricles and scalp, spheres put into it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.volume import Volume

SHAPE, SPACING, STEP = (24, 72, 72), 3.0, 6.0
BRAIN_ADC, CSF_ADC = 800.0, 3000.0


@dataclass(frozen=True)
class Sphere:
    """Tissue put in: where (LPS mm around the head's middle), how large, its DWI and ADC beside usual tissue's."""

    centre_mm: tuple[float, float, float]
    radius_mm: float
    signal: float = 1.8
    adc: float = 450.0
    flair: float = 1.0


@dataclass(frozen=True, eq=False)
class Head:
    dwi: Volume
    adc: Volume
    flair: Volume
    truth: NDArray[np.bool_]


def head(*spheres: Sphere, noise: float = 0.05, yaw_deg: float = 0.0, coil: float = 0.0, seed: int = 0) -> Head:
    """Spheres with an ADC up to 620 are the truth.

    Args:
        yaw_deg: how the head is turned; the spheres turn with it.
        coil: relative fall of the signal from one side to the other.
    """
    rng = np.random.default_rng(seed)
    z, y, x = (
        ((np.arange(n) - (n - 1) / 2) * mm).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (n, mm) in enumerate(zip(SHAPE, (STEP, SPACING, SPACING), strict=True))
    )
    turn = np.deg2rad(yaw_deg)
    x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    r = np.sqrt((x / 66) ** 2 + (y / 82) ** 2 + (z / 62) ** 2)
    brain, scalp = r < 1, (r > 1.1) & (r < 1.2)
    csf = ((np.abs(x) - 10) / 6) ** 2 + (y / 22) ** 2 + (z / 12) ** 2 < 1
    csf = np.asarray(csf | ((r > 0.94) & brain))
    dwi = np.where(brain, 300.0, 0) + np.where(scalp, 60.0, 0)
    dwi = np.where(csf, 70.0, dwi)
    adc = np.where(brain, BRAIN_ADC, 0) + np.where(scalp, 1200.0, 0)
    adc = np.where(csf, CSF_ADC, adc)
    flair = np.where(csf, 20.0, np.where(brain, 200.0, 0))
    truth = np.zeros(SHAPE, bool)
    for sphere in spheres:
        away = [axis - c for axis, c in zip((x, y, z), sphere.centre_mm, strict=True)]
        inside = (sum(a**2 for a in away) < sphere.radius_mm**2) & brain & ~csf
        dwi = np.where(inside, 300 * sphere.signal, dwi)
        adc = np.where(inside, sphere.adc, adc)
        flair = np.where(inside, 200 * sphere.flair, flair)
        if sphere.adc <= 620:
            truth |= inside
    dwi = dwi * (1 + coil * np.broadcast_to(x, SHAPE) / 66)
    grainy = [rng.normal(0, 1, SHAPE) for _ in range(3)]
    return Head(
        volume(np.abs(dwi + 300 * noise * grainy[0])),
        volume(np.where(adc > 0, np.abs(adc + 800 * noise * grainy[1]), 0)),
        volume(np.abs(flair + 200 * noise * grainy[2])),
        truth,
    )


def volume(voxels: NDArray[np.float64], *, spacing_mm: float = SPACING, step_mm: float = STEP) -> Volume:
    """Axial slices around the origin."""
    slices, rows, columns = voxels.shape
    heights = (np.arange(slices) - (slices - 1) / 2) * step_mm
    corner = np.array([-(columns - 1) / 2 * spacing_mm, -(rows - 1) / 2 * spacing_mm, 0.0])
    return Volume(
        voxels=voxels.astype(np.float32),
        positions_mm=corner[None] + heights[:, None] * np.array([0.0, 0.0, 1.0])[None],
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(spacing_mm, spacing_mm),
    )
