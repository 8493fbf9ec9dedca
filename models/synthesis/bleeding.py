"""Bleeds grown where anatomy lets them grow.

Every bleed is the set of the N allowed voxels with the lowest value of a field, N being the volume asked for.
The field alone makes the shape: distance from a centre for IPH, depth over a bump for the crescent of an SDH and
the lens of an EDH, height for blood settling in a ventricle, distance along the cisterns for SAH.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.synthesis.noise import smooth_noise
from models.synthesis.tissue import BRAIN, INTRACRANIAL, VOXEL_MM, Anatomy, Tissue

Subtype = Literal["IPH", "IVH", "SDH", "EDH", "SAH"]
SUBTYPES: tuple[Subtype, ...] = get_args(Subtype)
"""In the order of their label values: 1 IPH to 5 SAH."""

VOXEL_ML = VOXEL_MM**3 / 1000

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Bleed:
    """One bleed to grow; the volume is reached as far as its compartment has room."""

    label: Subtype
    volume_ml: float


@dataclass(frozen=True, eq=False)
class Space:
    """What growing needs to know of a head, computed once: (z, y, x) grids as in `Anatomy`."""

    anatomy: Anatomy
    intracranial: Mask
    brain: Mask
    depth_mm: Field

    @classmethod
    def of(cls, anatomy: Anatomy) -> "Space":
        intracranial = anatomy.mask(*INTRACRANIAL)
        depth = ndimage.distance_transform_edt(intracranial).astype(np.float32) * VOXEL_MM
        return cls(anatomy, intracranial, anatomy.mask(*BRAIN), depth)


def grow(space: Space, bleeds: list[Bleed] | tuple[Bleed, ...], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Labels of the bleeds, uint8 on the anatomy's grid: 0 none, 1 IPH, 2 IVH, 3 SDH, 4 EDH, 5 SAH."""
    labels = np.zeros(space.anatomy.tissue.shape, np.uint8)
    for bleed in bleeds:
        allowed, field = _GROWERS[bleed.label](space, bleed.volume_ml, rng)
        allowed &= labels == 0
        labels[_lowest(field, allowed, bleed.volume_ml)] = SUBTYPES.index(bleed.label) + 1
    return labels


def _lowest(field: Field, allowed: Mask, volume_ml: float) -> Mask:
    wanted = max(1, round(volume_ml / VOXEL_ML))
    values = field[allowed]
    if values.size == 0:
        return np.zeros_like(allowed)
    limit = np.partition(values, min(wanted, values.size) - 1)[min(wanted, values.size) - 1]
    chosen: Mask = allowed & (field <= limit)
    return chosen


def _millimetres(shape: tuple[int, ...], centre: NDArray[np.int64]) -> list[Field]:
    return [
        ((np.arange(n, dtype=np.float32) - c) * VOXEL_MM).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (n, c) in enumerate(zip(shape, centre, strict=True))
    ]


def _pick(mask: Mask, rng: np.random.Generator) -> NDArray[np.int64]:
    places = np.flatnonzero(mask)
    if places.size == 0:
        return np.array(mask.shape) // 2
    return np.array(np.unravel_index(places[rng.integers(places.size)], mask.shape))


def _iph(space: Space, volume_ml: float, rng: np.random.Generator) -> tuple[Mask, Field]:
    anatomy, kind = space.anatomy, rng.random()
    if kind < 0.45:
        seat = anatomy.mask(Tissue.DEEP_GREY)
    elif kind < 0.82:
        seat = anatomy.mask(Tissue.WHITE) & (space.depth_mm > min(8 + 2 * volume_ml ** (1 / 3), 25))
    else:
        seat = anatomy.mask(Tissue.CEREBELLUM, Tissue.BRAIN_STEM)
    centre = _pick(seat if seat.any() else space.brain, rng)
    axes = _millimetres(space.brain.shape, centre)
    stretch = np.exp(rng.normal(0, 0.28, 3))
    radius = (volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    spread = np.sqrt(sum((axis / s) ** 2 for axis, s in zip(axes, stretch, strict=True)))
    rough = smooth_noise(space.brain.shape, rng.uniform(7, 14), rng) * rng.uniform(0.08, 0.32) * radius
    return space.brain & (space.depth_mm > 2), np.asarray(spread + rough, np.float32)


def _ivh(space: Space, _: float, rng: np.random.Generator) -> tuple[Mask, Field]:
    ventricle = space.anatomy.mask(Tissue.VENTRICLE)
    y, x = (np.arange(n, dtype=np.float32) for n in ventricle.shape[1:])
    middle = (ventricle.shape[2] - 1) / 2
    one_sided = rng.uniform(0, 40) * rng.choice([-1, 0, 0, 1])
    # Blood settles behind, in a patient lying on the back; a clot sticks wherever it is.
    settle = -y[None, :, None] * rng.uniform(0.2, 1.2) + one_sided * np.sign(x - middle)[None, None, :]
    field = settle + smooth_noise(ventricle.shape, 9, rng) * rng.uniform(4, 14)
    return ventricle, np.asarray(np.broadcast_to(field, ventricle.shape), np.float32)


def _convexity(space: Space, rng: np.random.Generator, lowest: float) -> NDArray[np.int64]:
    rim = space.intracranial & (space.depth_mm < 2)
    z, _, x = (np.arange(n) for n in rim.shape)
    levels = np.flatnonzero(rim.any(axis=(1, 2)))
    bottom = levels[0] + lowest * (levels[-1] - levels[0])
    top = levels[0] + 0.9 * (levels[-1] - levels[0])
    off_middle = np.abs(x - (rim.shape[2] - 1) / 2) * VOXEL_MM > 25
    return _pick(rim & ((z > bottom) & (z < top))[:, None, None] & off_middle[None, None, :], rng)


def _one_side(shape: tuple[int, ...], centre: NDArray[np.int64]) -> Mask:
    middle = (shape[2] - 1) / 2
    side = (np.arange(shape[2]) - middle) * np.sign(centre[2] - middle)
    mine: Mask = (side * VOXEL_MM > 1.5)[None, None, :]
    return mine


def _sdh(space: Space, volume_ml: float, rng: np.random.Generator) -> tuple[Mask, Field]:
    shape = space.intracranial.shape
    if rng.random() < 0.15:
        return _along_falx(space, rng)
    centre = _convexity(space, rng, 0.35)
    distance = np.sqrt(sum(axis**2 for axis in _millimetres(shape, centre)))
    reach = rng.uniform(34, 58) * (0.7 + 0.3 * min(volume_ml / 60, 1))
    bump = np.exp(-((distance / reach) ** 2)) + 0.02
    wobble = 1 + 0.15 * smooth_noise(shape, 16, rng)
    allowed = space.intracranial & _one_side(shape, centre) & (space.depth_mm < 26)
    return allowed, np.asarray(space.depth_mm / bump * wobble, np.float32)


def _along_falx(space: Space, rng: np.random.Generator) -> tuple[Mask, Field]:
    shape = space.intracranial.shape
    falx = space.anatomy.mask(Tissue.DURA)
    if not falx.any():
        falx = space.intracranial & (np.abs(np.arange(shape[2]) - (shape[2] - 1) / 2) < 1.5)[None, None, :]
    away = ndimage.distance_transform_edt(~falx).astype(np.float32) * VOXEL_MM
    centre = _pick(falx, rng)
    distance = np.sqrt(sum(axis**2 for axis in _millimetres(shape, centre)))
    bump = np.exp(-((distance / rng.uniform(25, 50)) ** 2)) + 0.02
    side = (np.sign(np.arange(shape[2]) - (shape[2] - 1) / 2) == rng.choice([-1, 1]))[None, None, :]
    return space.intracranial & side & (away < 9), np.asarray(away / bump, np.float32)


def _edh(space: Space, volume_ml: float, rng: np.random.Generator) -> tuple[Mask, Field]:
    shape = space.intracranial.shape
    centre = _convexity(space, rng, 0.2)
    distance = np.sqrt(sum(axis**2 for axis in _millimetres(shape, centre)))
    # Sutures hold the dura, so the lens ends within a few centimetres and bulges instead.
    reach = rng.uniform(0.95, 1.25) * (volume_ml * 1000) ** (1 / 3) + 7
    bump = np.clip(1 - (distance / reach) ** 2, 0, None)
    allowed = space.intracranial & _one_side(shape, centre) & (bump > 0)
    wobble = 1 + 0.06 * smooth_noise(shape, 16, rng)
    return allowed, np.asarray(space.depth_mm / (bump + 1e-3) * wobble, np.float32)


def _sah(space: Space, _: float, rng: np.random.Generator) -> tuple[Mask, Field]:
    csf = space.anatomy.mask(Tissue.CSF)
    shape = csf.shape
    if rng.random() < 0.5:
        z, y, x = (np.arange(n) for n in shape)
        low = np.flatnonzero(csf.any(axis=(1, 2)))
        basal = (
            (z < low[0] + 0.5 * (low[-1] - low[0]))[:, None, None]
            & (np.abs(x - (shape[2] - 1) / 2) < 22)[None, None, :]
            & (np.abs(y - (shape[1] - 1) / 2) < 30)[None, :, None]
        )
        centre = _pick(csf & basal, rng)
    else:
        centre = _pick(csf & (space.depth_mm < 22), rng)
    distance = np.sqrt(sum(axis**2 for axis in _millimetres(shape, centre)))
    patches = smooth_noise(shape, 18, rng) * rng.uniform(5, 16)
    return csf, np.asarray(distance + patches, np.float32)


_GROWERS = {"IPH": _iph, "IVH": _ivh, "SDH": _sdh, "EDH": _edh, "SAH": _sah}
