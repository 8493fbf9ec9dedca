"""A tumour protocol in an MR scanner: four sequences, each with slices, matrix, coil and noise of its own."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.ais.train.scanner import Grid, positions_of, rician, sample, volume_of
from models.synthesis.noise import smooth_noise
from models.synthesis.space import Field, Mask
from models.synthesis.tissue import VOXEL_MM, Tissue
from models.tumour.train.tissue import Contrast, Patient, signal
from models.tumour.train.tumours import Part
from models.volume import Volume

LEVEL = 400.0
"""Stored value of white matter."""

SEEN = 0.45
"""Share of a voxel from which on it counts: readers draw what they see, and see a little more than half."""

WHOLE, BODY, ENHANCING = 1, 2, 4
"""Bits of a truth: whole tumour, its body, what of it enhances."""


@dataclass(frozen=True)
class Look:
    """How one sequence is acquired.

    Attributes:
        thickness_mm, resolution_mm: of its slices, and in their plane.
        snr: of white matter.
        coil: spread of the coils' sensitivity, on a logarithmic scale.
        ghost: share of the signal that lies a part of the field of view away.
    """

    contrast: Contrast
    thickness_mm: float
    resolution_mm: float
    snr: float
    coil: float
    ghost: float = 0.0


def draw_look(contrast: Contrast, thickness_mm: float, rng: np.random.Generator) -> Look:
    """The usual quality, and worse."""
    return Look(
        contrast,
        thickness_mm,
        resolution_mm=float(rng.uniform(0.9, 2.0)),
        snr=float(np.exp(rng.uniform(np.log(9), np.log(50)))),
        coil=float(rng.uniform(0.03, 0.25)),
        ghost=float(rng.uniform(0, 0.04)) if rng.random() < 0.3 else 0.0,
    )


def acquire(patient: Patient, look: Look, grid: Grid, rng: np.random.Generator, *, agent: bool) -> Volume:
    """One sequence on a grid, whose thickness does not matter: the look has its own."""
    image = signal(patient, look.contrast, rng, agent=agent)
    level = float(image[patient.space.anatomy.tissue == Tissue.WHITE].mean())
    across = _across(image, look.thickness_mm)
    cut = sample(across, replace(grid, resolution_mm=max(look.resolution_mm, grid.spacing_mm)), layers=1)
    cut *= _coil(cut.shape, grid, look.coil, rng)
    if look.ghost:
        cut = cut + np.float32(look.ghost) * np.roll(cut, grid.rows // 3, axis=1)
    return volume_of(rician(cut, level / look.snr, rng) / max(level, 1e-6) * LEVEL, positions_of(grid), grid)


def truth(patient: Patient, grid: Grid) -> NDArray[np.uint8]:
    """The bits WHOLE, BODY and ENHANCING of every voxel of a grid."""
    marks = np.zeros((grid.slices, grid.rows, grid.columns), np.uint8)
    parts = patient.parts
    for bit, region in ((WHOLE, parts > 0), (BODY, parts > Part.OEDEMA), (ENHANCING, parts == Part.ENHANCING)):
        if region.any():
            share = sample(_across(region.astype(np.float32), grid.thickness_mm), grid, blur=False, layers=1)
            marks[share >= SEEN] |= np.uint8(bit)
    return marks


def inside(patient: Patient, grid: Grid) -> Mask:
    """The inside of the skull on a grid."""
    return _mostly(patient.space.intracranial, grid)


def middle(patient: Patient, grid: Grid) -> tuple[Mask, Mask]:
    """Lateral ventricles and the patient's left half on a grid."""
    return _mostly(patient.space.anatomy.mask(Tissue.LATERAL), grid), _mostly(patient.space.anatomy.left, grid)


def _mostly(where: Mask, grid: Grid) -> Mask:
    return sample(where.astype(np.float32), grid, blur=False, layers=1) > 0.5


def _coil(shape: tuple[int, ...], grid: Grid, spread: float, rng: np.random.Generator) -> Field:
    """Sensitivity that varies over some ten centimetres in the plane, and along the slices by another field."""
    plane = smooth_noise((1, *shape[1:]), 90 / grid.spacing_mm, rng)
    along = smooth_noise((shape[0], 2, 2), max(2.0, 90 / grid.step_mm), rng)[:, :1, :1]
    return np.asarray(np.exp(np.float32(spread) * (plane + 0.6 * along)), np.float32)


def _across(field: Field, thickness_mm: float) -> Field:
    """A field averaged over the thickness of slices."""
    voxels = round(thickness_mm / VOXEL_MM)
    return np.asarray(ndimage.uniform_filter1d(field, voxels, axis=0), np.float32) if voxels > 1 else field
