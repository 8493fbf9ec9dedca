"""How an MR scanner sees a synthetic head: echo-planar distortion, thick slices, coils, noise, and the ADC map."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
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
    """What is acquired, and what goes wrong meanwhile.

    Attributes:
        snr: of white matter in the weighted image.
        distortion_mm: greatest shift along the phase-encoding axis beside air at the skull base.
        coil: spread of the coils' sensitivity, on a logarithmic scale.
        directions: weighted images whose geometric mean is the trace.
        acceleration: how much more noise there is in the middle of the head, relative.
        movement_mm: between the unweighted and the weighted images; they turn by as many half degrees.
        ghost: share of the signal that lies half a field of view away.
        stripes: relative spread of the signal from slice to slice.
        fat, fat_shift_mm: how much of it escapes suppression, and how far it then lies from its place.
        empty_below: unweighted signal below which the map is left empty; 1 is pure water.
    """

    b_value: float = 1000.0
    echo_time_ms: float = 80.0
    snr: float = 18.0
    distortion_mm: float = 4.0
    coil: float = 0.14
    directions: int = 1
    acceleration: float = 0.0
    movement_mm: float = 0.0
    ghost: float = 0.0
    stripes: float = 0.0
    fat: float = 1.0
    fat_shift_mm: float = 0.0
    empty_below: float = 0.06


@dataclass(frozen=True, eq=False)
class DiffusionScan:
    """What comes off the scanner: all on one grid.

    Attributes:
        dwi: weighted images, stored values.
        adc: 1e-6 mm2/s.
        b0: unweighted images.
        core: uint8, 1 where readers draw it in, see `drawn`.
        inside: where the inside of the skull is.
    """

    dwi: Volume
    adc: Volume
    b0: Volume
    core: NDArray[np.uint8]
    inside: Mask


SEEN = 0.25
"""Share of a voxel from which on readers draw it in: small infarcts in thick slices are bright, if paler."""

SULCUS_MM = 2.0
"""Half the width of a gap that a reader's outline runs across: bright gyri are drawn as one, sulci and all."""


def scan_diffusion(
    maps: Maps, space: Space, core: Mask, grid: Grid, sequence: DiffusionSequence, rng: np.random.Generator
) -> DiffusionScan:
    """Acquire b0 and a weighted trace, and compute the ADC map from both, as scanners do."""
    warp = Warp.of(_distortion(space, sequence.distortion_mm / VOXEL_MM, rng))
    bias = np.exp(sequence.coil * smooth_noise(space.brain.shape, 90, rng))
    fat = space.anatomy.mask(Tissue.FAT)
    away = round(sequence.fat_shift_mm / VOXEL_MM)
    moved = _moved(grid, sequence.movement_mm, rng)
    images = []
    for b, pose in ((0.0, grid), (sequence.b_value, moved)):
        signal = diffusion_signal(maps, b_value=b, echo_time_ms=sequence.echo_time_ms)
        white = float(signal[space.anatomy.mask(Tissue.WHITE)].mean())
        if sequence.fat != 1 or away:
            escaped = np.roll(np.where(fat, signal, 0), away, axis=1) * sequence.fat
            signal = np.asarray(np.where(fat, 0, signal) + escaped, np.float32)
        images.append(sample(warp.apply(signal * bias, pile_up=True), pose, _acquired(grid)))
    truth = np.zeros((grid.slices, grid.rows, grid.columns), np.bool_)
    if core.any():
        share = sample(warp.apply(core.astype(np.float32), pile_up=False), moved, blur=False)
        truth = drawn(share, grid.spacing_mm)
    skull = warp.apply(space.intracranial.astype(np.float32), pile_up=False)
    inside = sample(skull, moved, blur=False, layers=1) > 0.5
    sigma = white / sequence.snr
    unweighted = _acquire(images[0], sigma, grid, sequence, rng)
    directions = [
        _acquire(images[1], sigma * sequence.directions**0.5, grid, sequence, rng) for _ in range(sequence.directions)
    ]
    logs = [np.log(np.maximum(image, 1e-6)) for image in directions]
    weighted = np.asarray(np.exp(np.mean(logs, axis=0, dtype=np.float32)), np.float32)
    ratio = np.log(np.maximum(unweighted, 1e-6) / np.maximum(weighted, 1e-6))
    adc: Field = np.clip(ratio / sequence.b_value * 1e6, 0, 4000).astype(np.float32)
    # Scanners leave the map empty where there is no signal.
    adc[unweighted < sequence.empty_below] = 0
    positions = positions_of(grid)
    return DiffusionScan(
        dwi=volume_of(weighted * SCALE, positions, grid),
        adc=volume_of(adc, positions, grid),
        b0=volume_of(unweighted * SCALE, positions, grid),
        core=truth.astype(np.uint8),
        inside=inside,
    )


def drawn(share: Field, spacing_mm: float) -> Mask:
    """The outline a reader draws around an infarct, slice by slice.

    Args:
        share: of each voxel that is infarct, (slices, rows, columns).
    """
    seen = share >= SEEN
    edge = int(SULCUS_MM / spacing_mm) + 1
    for k in np.flatnonzero(seen.any(axis=(1, 2))):
        near = ndimage.distance_transform_edt(~np.pad(seen[k], edge)) * spacing_mm <= SULCUS_MM
        closed = ndimage.distance_transform_edt(near) * spacing_mm > SULCUS_MM
        seen[k] |= closed[edge:-edge, edge:-edge]
    return seen


def strip(scan: DiffusionScan, *, map_alone: bool = False) -> DiffusionScan:
    """The images as programs for stripping skulls leave them: empty outside the brain, or the map alone."""

    def cut(volume: Volume) -> Volume:
        return replace(volume, voxels=np.where(scan.inside, volume.voxels, 0).astype(np.float32))

    if map_alone:
        return replace(scan, adc=cut(scan.adc))
    return replace(scan, dwi=cut(scan.dwi), adc=cut(scan.adc), b0=cut(scan.b0))


def scan_flair(maps: Maps, space: Space, grid: Grid, rng: np.random.Generator, *, snr: float = 25.0) -> Volume:
    """A FLAIR of the same head, undistorted, on a grid of its own."""
    signal = flair_signal(maps) * np.exp(0.12 * smooth_noise(space.brain.shape, 90, rng))
    level = float(signal[space.anatomy.mask(Tissue.WHITE)].mean())
    return volume_of(rician(sample(signal, grid), level / snr, rng) * 5 * SCALE, positions_of(grid), grid)


def _moved(grid: Grid, movement_mm: float, rng: np.random.Generator) -> Grid:
    """Where the head lies in the weighted images: eddy currents and patients move it, most along the phase axis."""
    if not movement_mm:
        return grid
    shift = np.array(grid.shift_mm) + rng.normal(0, movement_mm, 3) * (0.5, 1.0, 0.5)
    turn = np.array(grid.rotation_deg) + rng.normal(0, movement_mm / 2, 3)
    return replace(grid, shift_mm=tuple(shift.tolist()), rotation_deg=tuple(turn.tolist()))


def _acquire(signal: Field, sigma: float, grid: Grid, sequence: DiffusionSequence, rng: np.random.Generator) -> Field:
    """Magnitude images with noise, ghosts and stripes; a matrix finer than the acquisition's is filled with zeros."""
    _, rows, columns = signal.shape
    if sequence.ghost:
        signal = signal + sequence.ghost * np.roll(signal, rows // 2, axis=1)
    if sequence.stripes:
        signal = signal * (1 + sequence.stripes * rng.standard_normal((len(signal), 1, 1))).astype(np.float32)
    spread = np.full((rows, columns), sigma, np.float32)
    if sequence.acceleration:
        y, x = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
        spread = spread * (1 + sequence.acceleration * np.exp(-(x**2 + y**2) / 0.18)).astype(np.float32)
    noisy = np.empty(signal.shape, np.complex64)
    noisy.real = signal + spread * rng.standard_normal(signal.shape, dtype=np.float32)
    noisy.imag = spread * rng.standard_normal(signal.shape, dtype=np.float32)
    if (rows, columns) != (grid.rows, grid.columns):
        waves = fft.fftshift(fft.fft2(noisy), axes=(1, 2))
        pad = [((n - m) // 2, n - m - (n - m) // 2) for n, m in ((grid.rows, rows), (grid.columns, columns))]
        scale = grid.rows * grid.columns / (rows * columns)
        noisy = fft.ifft2(fft.ifftshift(np.pad(waves, ((0, 0), *pad)), axes=(1, 2))) * scale
    return np.asarray(np.abs(noisy), np.float32)


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


@dataclass(frozen=True, eq=False)
class Warp:
    """Where along y the signal of every voxel comes from, for the slices that move at all.

    Attributes:
        part: those slices.
        low, share: the voxel before the place, and how far the place lies beyond it.
        squeeze: signal per place; where it is squeezed together it piles up.
    """

    part: slice
    low: NDArray[np.intp]
    share: Field
    squeeze: Field

    @classmethod
    def of(cls, shift: Field) -> "Warp":
        moving = np.flatnonzero(np.abs(shift).max(axis=(1, 2)) > 0.02)
        part = slice(int(moving[0]), int(moving[-1]) + 1) if moving.size else slice(0, 0)
        rows = shift.shape[1]
        place = np.clip(np.arange(rows, dtype=np.float32)[None, :, None] + shift[part], 0, rows - 1.001)
        low = place.astype(np.intp)
        squeeze = np.clip(1 + np.gradient(shift[part], axis=1), 0.15, 2.5) if moving.size else shift[part]
        return cls(part, low, (place - low).astype(np.float32), squeeze.astype(np.float32))

    def apply(self, signal: Field, *, pile_up: bool) -> Field:
        """Move signal along y."""
        result = signal.copy()
        field = signal[self.part]
        first, second = (np.take_along_axis(field, self.low + k, axis=1) for k in (0, 1))
        moved = first + self.share * (second - first)
        result[self.part] = moved * self.squeeze if pile_up else moved
        return result


def positions_of(grid: Grid) -> NDArray[np.float64]:
    """Centres of the first voxels of the slices, LPS mm around the head's middle, (slices, 3)."""
    heights = (np.arange(grid.slices) - (grid.slices - 1) / 2) * grid.step_mm
    corner = -np.array([(grid.columns - 1) / 2, (grid.rows - 1) / 2, 0.0]) * grid.spacing_mm
    return np.asarray(corner[None] + heights[:, None] * np.array([0.0, 0.0, 1.0])[None], np.float64)


def _acquired(grid: Grid) -> tuple[int, int]:
    """Rows and columns of the acquisition, where that is coarser than the grid."""
    share = min(1.0, grid.spacing_mm / grid.resolution_mm)
    return round(grid.rows * share / 2) * 2, round(grid.columns * share / 2) * 2


def sample(
    field: Field, grid: Grid, matrix: tuple[int, int] | None = None, *, blur: bool = True, layers: int | None = None
) -> Field:
    """A field of the head on the scanner's grid, averaged over the thickness of slices.

    Args:
        matrix: rows and columns of a coarser grid over the same field of view, its first voxel in the same place.
        layers: samples across a slice; None: as many as its thickness needs.
    """
    rows, columns = matrix or (grid.rows, grid.columns)
    if blur:
        sigma = 0.35 * grid.resolution_mm / VOXEL_MM
        field = np.asarray(ndimage.gaussian_filter(field, (0, sigma, sigma), truncate=3), np.float32)
    turn = Rotation.from_euler("xyz", grid.rotation_deg, degrees=True).as_matrix().T / VOXEL_MM
    centre = (np.array(field.shape[::-1]) - 1) / 2 + np.array(grid.shift_mm) / VOXEL_MM
    steps = np.zeros((3, 3))
    steps[1, 1], steps[0, 2] = grid.spacing_mm * grid.rows / rows, grid.spacing_mm * grid.columns / columns
    turned = np.ascontiguousarray((turn @ steps)[::-1])
    layers = layers or max(1, round(grid.thickness_mm / 1.3))
    offsets = (np.arange(layers) - (layers - 1) / 2) / layers * grid.thickness_mm
    shape = (1, rows, columns)
    result = np.zeros((grid.slices, rows, columns), np.float32)
    for k, position in enumerate(positions_of(grid)):
        for offset in offsets:
            start = (turn @ (position + np.array([0, 0, offset])) + centre)[::-1]
            result[k] += ndimage.affine_transform(field, turned, start, shape, order=1, output=np.float32)[0]
    return np.asarray(result / layers, np.float32)


def rician(signal: Field, sigma: float, rng: np.random.Generator) -> Field:
    """Magnitude of a complex signal with noise in both parts."""
    real = signal + sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary), np.float32)


def volume_of(voxels: Field, positions_mm: NDArray[np.float64], grid: Grid) -> Volume:
    return Volume(
        voxels=np.round(voxels).astype(np.float32),
        positions_mm=positions_mm,
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(grid.spacing_mm, grid.spacing_mm),
    )
