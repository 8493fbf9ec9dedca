"""What goes wrong while a head is scanned: it moves, carries metal, lies on a table, hardens the beam."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.synthesis.noise import smooth_noise

Voxels = NDArray[np.float32]
BONE_HU = 300.0


def spoil(voxels: Voxels, spacing_mm: float, rng: np.random.Generator) -> Voxels:
    """Add artefacts to slices in HU, (slices, rows, columns), in place; most heads get few or none."""
    if rng.random() < 0.6:
        _bars(voxels, rng)
    if rng.random() < 0.1:
        _motion(voxels, spacing_mm, rng)
    if rng.random() < 0.05:
        _metal(voxels, spacing_mm, rng)
    if rng.random() < 0.2:
        _ring(voxels, rng)
    if rng.random() < 0.5:
        _table(voxels, spacing_mm, rng)
    return voxels


def _bars(voxels: Voxels, rng: np.random.Generator) -> None:
    """Dark and bright bars between the petrous bones: noise drawn out across the head, by how much bone is there."""
    strength = rng.uniform(1, 9)
    lying = (0, rng.uniform(1, 3), rng.uniform(10, 30))
    bone = (voxels > BONE_HU).astype(np.float32).mean(axis=2)
    bone = ndimage.gaussian_filter1d(bone, 6, axis=1)
    bars = ndimage.gaussian_filter(rng.standard_normal(voxels.shape, dtype=np.float32), lying)
    voxels += bars / (bars.std() + 1e-6) * np.clip(bone * 4, 0, 1.2)[:, :, None] * strength


def _motion(voxels: Voxels, spacing_mm: float, rng: np.random.Generator) -> None:
    """Some neighbouring slices show the head in two places."""
    first = int(rng.integers(len(voxels)))
    for k in range(first, min(len(voxels), first + int(rng.integers(1, 7)))):
        step = rng.uniform(1, 5, 2) * rng.choice([-1, 1], 2) / spacing_mm
        there = ndimage.shift(voxels[k], step, order=1, mode="nearest")
        share = rng.uniform(0.2, 0.5)
        voxels[k] = (1 - share) * voxels[k] + share * there


def _metal(voxels: Voxels, spacing_mm: float, rng: np.random.Generator) -> None:
    """A clip or a filling: white, with rays."""
    heads = np.argwhere(voxels > 0)
    if not len(heads):
        return
    k0, row, column = heads[rng.integers(len(heads))]
    y, x = np.ogrid[: voxels.shape[1], : voxels.shape[2]]
    radius = np.hypot(y - row, x - column) * spacing_mm
    angle = np.arctan2(y - row, x - column)
    for k in range(k0, min(len(voxels), k0 + int(rng.integers(1, 4)))):
        rays = sum(rng.normal() * np.cos(n * angle + rng.uniform(0, 6.3)) for n in rng.integers(2, 24, 6))
        voxels[k] += rays * rng.uniform(5, 40) * np.exp(-radius / rng.uniform(20, 70))
        voxels[k][radius < rng.uniform(1.5, 5)] = 3000


def _ring(voxels: Voxels, rng: np.random.Generator) -> None:
    """Faint circles about the middle of the gantry."""
    y, x = np.ogrid[: voxels.shape[1], : voxels.shape[2]]
    radius = np.hypot(y - voxels.shape[1] / 2, x - voxels.shape[2] / 2)
    profile = rng.standard_normal(int(radius.max()) + 2)
    voxels += (np.interp(radius, np.arange(len(profile)), profile) * rng.uniform(0.2, 1.5)).astype(np.float32)


def _table(voxels: Voxels, spacing_mm: float, rng: np.random.Generator) -> None:
    """The head lies in a cup: a thin bright shell behind it, foam inside."""
    y, x = np.ogrid[: voxels.shape[1], : voxels.shape[2]]
    row, column = voxels.shape[1] * rng.uniform(0.42, 0.55), voxels.shape[2] / 2
    radius = np.hypot(y - row, (x - column) * rng.uniform(1, 1.15)) * spacing_mm
    inner = rng.uniform(98, 112)
    behind = np.broadcast_to(y > row + rng.uniform(0, 40) / spacing_mm, radius.shape)
    air = voxels < -500
    foam = behind & (radius > inner - rng.uniform(5, 30)) & (radius < inner)
    shell = behind & (radius >= inner) & (radius < inner + rng.uniform(2, 5))
    voxels[air & foam] = rng.uniform(-980, -850)
    voxels[air & shell] = rng.uniform(-400, 250)
    voxels += np.where(air & foam, smooth_noise(voxels.shape[1:], 3, rng) * 10, 0).astype(np.float32)
