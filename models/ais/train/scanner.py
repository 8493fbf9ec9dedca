"""How an MR scanner sees a synthetic head: echo-planar distortion, thick slices, coils, noise, and the ADC map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from models.ais.train.tissue import Maps, diffusion_signal, flair_signal
from models.synthesis.noise import smooth_noise
from models.synthesis.space import Field, Mask, Space
from models.synthesis.tissue import VOXEL_MM, Tissue
from models.volume import Volume

SCALE = 1500.0
"""Stored value of pure water without decay."""


@dataclass(frozen=True)
class Grid:
    """Axial slices around the head's middle.

    Attributes:
        rotation_deg: how the head lies in the scanner, about x (left), y (posterior), z (superior).
        resolution_mm: of the acquisition; the matrix may be interpolated finer.
    """

    rows: int = 128
    columns: int = 128
    spacing_mm: float = 1.75
    slices: int = 28
    step_mm: float = 5.0
    thickness_mm: float = 4.5
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    resolution_mm: float = 1.9


@dataclass(frozen=True)
class DiffusionSequence:
    """Attributes:
    snr: of white matter in the weighted image.
    distortion_mm: greatest shift along the phase-encoding axis beside air at the skull base.
    """

    b_value: float = 1000.0
    echo_time_ms: float = 80.0
    snr: float = 18.0
    distortion_mm: float = 4.0


@dataclass(frozen=True, eq=False)
class DiffusionScan:
    """What comes off the scanner: all on one grid.

    Attributes:
        dwi: weighted images, stored values.
        adc: 1e-6 mm2/s.
        b0: unweighted images.
        core: uint8, 1 where infarct fills at least half of a voxel.
    """

    dwi: Volume
    adc: Volume
    b0: Volume
    core: NDArray[np.uint8]


def scan_diffusion(
    maps: Maps, space: Space, core: Mask, grid: Grid, sequence: DiffusionSequence, rng: np.random.Generator
) -> DiffusionScan:
    """Acquire b0 and a weighted trace, and compute the ADC map from both, as scanners do."""
    shift = _distortion(space, sequence.distortion_mm / VOXEL_MM, rng)
    bias = np.exp(0.14 * smooth_noise(space.brain.shape, 90, rng))
    images = []
    for b in (0.0, sequence.b_value):
        signal = diffusion_signal(maps, b_value=b, echo_time_ms=sequence.echo_time_ms) * bias
        images.append(_sample(_warp(signal, shift, pile_up=True), grid))
    truth = _sample(_warp(core.astype(np.float32), shift, pile_up=False), grid, blur=False) >= 0.5
    white = diffusion_signal(maps, b_value=sequence.b_value, echo_time_ms=sequence.echo_time_ms)[
        space.anatomy.mask(Tissue.WHITE)
    ].mean()
    unweighted, weighted = (_rician(image, float(white) / sequence.snr, rng) for image in images)
    ratio = np.log(np.maximum(unweighted, 1e-6) / np.maximum(weighted, 1e-6))
    adc: Field = np.clip(ratio / sequence.b_value * 1e6, 0, 4000).astype(np.float32)
    # Scanners leave the map empty where there is no signal.
    adc[unweighted < 0.06] = 0
    place = _place(grid)
    return DiffusionScan(
        dwi=_volume(weighted * SCALE, place, grid),
        adc=_volume(adc, place, grid),
        b0=_volume(unweighted * SCALE, place, grid),
        core=truth.astype(np.uint8),
    )


def scan_flair(maps: Maps, space: Space, grid: Grid, rng: np.random.Generator, *, snr: float = 25.0) -> Volume:
    """A FLAIR of the same head, undistorted, on a grid of its own."""
    signal = flair_signal(maps) * np.exp(0.12 * smooth_noise(space.brain.shape, 90, rng))
    level = float(signal[space.anatomy.mask(Tissue.WHITE)].mean())
    return _volume(_rician(_sample(signal, grid), level / snr, rng) * 5 * SCALE, _place(grid), grid)


def _distortion(space: Space, most: float, rng: np.random.Generator) -> Field:
    """Shift along y in voxels: a few sources of field at the skull base, where sinuses and mastoids hold air."""
    floor = np.flatnonzero(space.brain.any(axis=(1, 2)))
    low, high = int(floor[0]), int(floor[-1])
    rim = space.brain & (space.depth_mm < 8)
    rim[low + int(0.4 * (high - low)) :] = False
    rim[:low] = False
    places = np.argwhere(rim)
    shift = np.zeros(space.brain.shape, np.float32)
    z, y, x = (np.arange(n, dtype=np.float32) for n in space.brain.shape)
    for place in places[rng.integers(len(places), size=int(rng.integers(2, 6)))] if len(places) else []:
        width = rng.uniform(5, 11)
        fall = [np.exp(-(((axis - c) / width) ** 2) / 2) for axis, c in zip((z, y, x), place, strict=True)]
        shift += rng.normal(0, 0.6) * most * fall[0][:, None, None] * fall[1][None, :, None] * fall[2][None, None, :]
    return shift


def _warp(signal: Field, shift: Field, *, pile_up: bool) -> Field:
    """Move signal along y; where it is squeezed together it piles up."""
    moving = np.flatnonzero(np.abs(shift).max(axis=(1, 2)) > 0.02)
    result = signal.copy()
    if not moving.size:
        return result
    part = slice(int(moving[0]), int(moving[-1]) + 1)
    z, y, x = np.ogrid[tuple(slice(0, n) for n in shift[part].shape)]
    places = np.broadcast_arrays(z.astype(np.float32), y + shift[part], x.astype(np.float32))
    moved = ndimage.map_coordinates(signal[part], np.stack(places), order=1, mode="nearest")
    if pile_up:
        moved *= np.clip(1 + np.gradient(shift[part], axis=1), 0.15, 2.5)
    result[part] = moved
    return result


def _place(grid: Grid) -> NDArray[np.float64]:
    """Centres of the first voxels of the slices, LPS mm around the head's middle, (slices, 3)."""
    heights = (np.arange(grid.slices) - (grid.slices - 1) / 2) * grid.step_mm
    corner = -np.array([(grid.columns - 1) / 2, (grid.rows - 1) / 2, 0.0]) * grid.spacing_mm
    return np.asarray(corner[None] + heights[:, None] * np.array([0.0, 0.0, 1.0])[None], np.float64)


def _sample(field: Field, grid: Grid, *, blur: bool = True) -> Field:
    """A field of the head on the scanner's grid, averaged over the thickness of slices."""
    if blur:
        sigma = 0.35 * grid.resolution_mm / VOXEL_MM
        field = np.asarray(ndimage.gaussian_filter(field, (0, sigma, sigma), truncate=3), np.float32)
    turn = Rotation.from_euler("xyz", grid.rotation_deg, degrees=True).as_matrix().T / VOXEL_MM
    centre = (np.array(field.shape[::-1]) - 1) / 2 + np.array(grid.shift_mm) / VOXEL_MM
    steps = np.zeros((3, 3))
    steps[1, 1] = steps[0, 2] = grid.spacing_mm
    matrix = np.ascontiguousarray((turn @ steps)[::-1])
    layers = max(1, round(grid.thickness_mm / 1.3))
    offsets = (np.arange(layers) - (layers - 1) / 2) / layers * grid.thickness_mm
    shape = (1, grid.rows, grid.columns)
    result = np.zeros((grid.slices, grid.rows, grid.columns), np.float32)
    for k, position in enumerate(_place(grid)):
        for offset in offsets:
            start = (turn @ (position + np.array([0, 0, offset])) + centre)[::-1]
            result[k] += ndimage.affine_transform(field, matrix, start, shape, order=1, output=np.float32)[0]
    return np.asarray(result / layers, np.float32)


def _rician(signal: Field, sigma: float, rng: np.random.Generator) -> Field:
    """Magnitude of a complex signal with noise in both parts."""
    real = signal + sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary), np.float32)


def _volume(voxels: Field, positions_mm: NDArray[np.float64], grid: Grid) -> Volume:
    return Volume(
        voxels=np.round(voxels).astype(np.float32),
        positions_mm=positions_mm,
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(grid.spacing_mm, grid.spacing_mm),
    )
