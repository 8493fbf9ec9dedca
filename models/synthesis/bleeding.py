"""Bleeds grown where anatomy lets them grow, and the room they take.

Every bleed is the set of the N allowed voxels with the lowest value of a field, N being the volume asked for.
The field alone makes the shape: distance from centres for IPH, depth over a bump for the crescent of an SDH and
the lens of an EDH, height for blood settling in a ventricle, distance along the cisterns for SAH.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.synthesis.mass import Push, displace, squeeze
from models.synthesis.noise import smooth_noise
from models.synthesis.space import Field, Mask, Space
from models.synthesis.tissue import VENTRICLES, VOXEL_MM, Tissue

Subtype = Literal["IPH", "IVH", "SDH", "EDH", "SAH"]
SUBTYPES: tuple[Subtype, ...] = get_args(Subtype)
"""In the order of their label values: 1 IPH to 5 SAH."""

VOXEL_ML = VOXEL_MM**3 / 1000

_FROM_OUTSIDE: tuple[Subtype, ...] = ("EDH", "SDH", "IPH", "IVH", "SAH")

CONTUSION_ML = 25.0

THINNEST_MM = 1.9
"""Collections end where they would be thinner: no slice shows it, and a network told to mark it marks every rim."""

SHIFT_MM_PER_ML = (0.03, 0.14)
SDH_SHIFT_MM_PER_ML = (0.07, 0.15)
"""A large old subdural collection as dense as brain is known by its shift alone, so it always has one."""

LARGEST_SHIFT_MM = 18.0

ALONG_DURA_ML = 18.0
"""The most that lies along falx or tentorium; less than what grows old unnoticed."""

SQUEEZED_FROM_ML = 25.0
"""A collection of this size closes the sulci and narrows the ventricle beside it."""


@dataclass(frozen=True)
class Bleed:
    """One bleed to grow; the volume is reached as far as its compartment has room."""

    label: Subtype
    volume_ml: float


@dataclass(frozen=True, eq=False)
class Bled:
    """A head after bleeding.

    Attributes:
        space: the head with its brain pushed aside.
        labels: uint8 on the anatomy's grid: 0 none, 1 IPH, 2 IVH, 3 SDH, 4 EDH, 5 SAH.
        shift_mm: how far the midline was pushed where it gives most; positive to the patient's left.
    """

    space: Space
    labels: NDArray[np.uint8]
    shift_mm: float


@dataclass(frozen=True, eq=False)
class _Seat:
    """Where a bleed may be, in which order it fills, how large and thick it gets; a collection's relative thickness."""

    allowed: Mask
    field: Field
    bump: Field | None = None
    at_skull: bool = False
    most_ml: float = np.inf
    most_mm: float = np.inf


def bleed(space: Space, bleeds: Sequence[Bleed], rng: np.random.Generator, *, shift_share: float = 0.05) -> Bled:
    """Grow bleeds and push the brain aside for them.

    Args:
        shift_share: share of heads whose midline is pushed by something else than a bleed.
    """
    labels = np.zeros(space.anatomy.tissue.shape, np.uint8)
    pushes: list[Push] = []
    squeezed = np.zeros(labels.shape, np.bool_)
    shift_mm = 0.0
    # From the skull inwards: an epidural clot lies outside the dura, a subdural one below it.
    for entry in sorted(bleeds, key=lambda entry: _FROM_OUTSIDE.index(entry.label)):
        if entry.label in ("IPH", "SDH", "EDH"):
            mask, push = _grow_mass(space, entry, _free(space, labels, entry.label), rng)
            labels[mask] = SUBTYPES.index(entry.label) + 1
            to_left = -1 if (mask & space.anatomy.left).sum() * 2 > mask.sum() else 1
            gives = SDH_SHIFT_MM_PER_ML if entry.label == "SDH" else SHIFT_MM_PER_ML
            shift_mm += to_left * mask.sum() * VOXEL_ML * rng.uniform(*gives)
            pushes.append(push)
            if push.thickness_mm is not None and mask.sum() * VOXEL_ML > SQUEEZED_FROM_ML:
                squeezed |= space.anatomy.left if to_left < 0 else ~space.anatomy.left
    if not bleeds and rng.random() < shift_share:
        shift_mm = rng.choice([-1, 1]) * rng.uniform(3, 10)
    shift_mm = float(np.clip(shift_mm, -LARGEST_SHIFT_MM, LARGEST_SHIFT_MM))
    if squeezed.any():
        space = squeeze(space, squeezed, rng)
    if pushes or shift_mm:
        space = displace(space, pushes, shift_mm)
    for entry in bleeds:
        if entry.label in ("IVH", "SAH"):
            seat = (_ivh if entry.label == "IVH" else _sah)(space, rng)
            allowed = seat.allowed & (labels == 0)
            mask, _ = _lowest(seat.field, allowed, entry.volume_ml)
            labels[mask] = SUBTYPES.index(entry.label) + 1
    return Bled(space, labels, shift_mm)


def _free(space: Space, labels: NDArray[np.uint8], label: Subtype) -> Mask:
    """Where another bleed may go. Under an epidural clot no subdural one can be told from it: it lies opposite."""
    free = labels == 0
    epidural = labels == SUBTYPES.index("EDH") + 1
    if label == "SDH" and epidural.any():
        on_left = (epidural & space.anatomy.left).sum() * 2 > epidural.sum()
        free = free & (~space.anatomy.left if on_left else space.anatomy.left)
    return np.asarray(free)


def _grow_mass(space: Space, entry: Bleed, free: Mask, rng: np.random.Generator) -> tuple[Mask, Push]:
    grower = {"IPH": _iph, "SDH": _sdh, "EDH": _edh}[entry.label]
    seat = grower(space, entry.volume_ml, free, rng)
    mask, limit = _lowest(seat.field, seat.allowed & free, min(entry.volume_ml, seat.most_ml), seat.most_mm)
    if seat.bump is not None:
        thickness = np.asarray(limit * seat.bump, np.float32)
        thickness[thickness < THINNEST_MM] = 0
        return mask & (thickness > 0), Push(thickness_mm=thickness) if seat.at_skull else Push()
    where = np.argwhere(mask)
    if not len(where):
        return mask, Push()
    radius = (3 * len(where) / (4 * np.pi)) ** (1 / 3) * VOXEL_MM
    return mask, Push(centre=where.mean(axis=0), radius_mm=float(radius * rng.uniform(0.2, 0.7)))


def _lowest(field: Field, allowed: Mask, volume_ml: float, most: float = np.inf) -> tuple[Mask, float]:
    wanted = max(1, round(volume_ml / VOXEL_ML))
    values = field[allowed]
    if values.size == 0:
        return np.zeros_like(allowed), 0.0
    limit = min(most, np.partition(values, min(wanted, values.size) - 1)[min(wanted, values.size) - 1])
    chosen: Mask = allowed & (field <= limit)
    return chosen, float(limit)


def _millimetres(shape: tuple[int, ...], centre: NDArray[np.int64]) -> list[Field]:
    return [
        ((np.arange(n, dtype=np.float32) - c) * VOXEL_MM).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (n, c) in enumerate(zip(shape, centre, strict=True))
    ]


def _distance(shape: tuple[int, ...], centre: NDArray[np.int64]) -> Field:
    return np.sqrt(sum(axis**2 for axis in _millimetres(shape, centre)), dtype=np.float32)


def _pick(mask: Mask, rng: np.random.Generator) -> NDArray[np.int64]:
    places = np.flatnonzero(mask)
    if places.size == 0:
        return np.array(mask.shape) // 2
    return np.array(np.unravel_index(places[rng.integers(places.size)], mask.shape))


def _iph(space: Space, volume_ml: float, free: Mask, rng: np.random.Generator) -> _Seat:
    anatomy, kind, shape = space.anatomy, rng.random(), space.brain.shape
    if kind < 0.22:
        return _contusion(space, min(volume_ml, CONTUSION_ML), rng)
    radius = _radius_mm(volume_ml)
    if kind < 0.55:
        seat = anatomy.mask(Tissue.DEEP_GREY)
    elif kind < 0.85:
        seat = anatomy.mask(Tissue.WHITE) & (space.depth_mm > min(6 + 2 * volume_ml ** (1 / 3), 25))
    else:
        seat = anatomy.mask(Tissue.CEREBELLUM, Tissue.BRAIN_STEM)
    centre = _pick((seat if seat.any() else space.brain) & free, rng)
    spread = np.full(shape, np.inf, np.float32)
    for lobe in range(int(rng.choice([1, 1, 2, 3]))):
        axes = _millimetres(shape, centre + (rng.normal(0, 0.6 * radius / VOXEL_MM, 3).astype(int) if lobe else 0))
        stretch = np.exp(rng.normal(0, 0.28, 3))
        np.minimum(spread, np.sqrt(sum((a / s) ** 2 for a, s in zip(axes, stretch, strict=True))), out=spread)
    rough = smooth_noise(shape, rng.uniform(5, 14), rng) * rng.uniform(0.06, 0.3) * radius
    return _Seat(space.brain & (space.depth_mm > 2), spread + rough)


def _radius_mm(volume_ml: float) -> float:
    """Of the sphere with this volume."""
    return float((volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3))


def _contusion(space: Space, volume_ml: float, rng: np.random.Generator) -> _Seat:
    """Several spots in the cortex of one region, most often where the brain meets the rough floor of the skull."""
    shape = space.brain.shape
    cortex = space.brain & (space.depth_mm > 2.5) & (space.depth_mm < 14)
    levels = np.flatnonzero(space.brain.any(axis=(1, 2)))
    if levels.size and rng.random() < 0.7:
        low = cortex.copy()
        low[int(levels[0] + 0.55 * (levels[-1] - levels[0])) :] = False
        cortex = low
    first = _pick(cortex, rng)
    spread = _distance(shape, first)
    near = cortex & (spread < 22)
    for _ in range(int(rng.integers(1, 6))):
        np.minimum(spread, _distance(shape, _pick(near, rng)) * rng.uniform(0.8, 1.8), out=spread)
    rough = smooth_noise(shape, 4, rng) * rng.uniform(0.1, 0.35) * _radius_mm(volume_ml)
    return _Seat(space.brain & (space.depth_mm > 1.5), spread + rough, most_ml=CONTUSION_ML)


def _ivh(space: Space, rng: np.random.Generator) -> _Seat:
    ventricle = space.anatomy.mask(*VENTRICLES)
    left = space.anatomy.left
    if rng.random() < 0.3:
        one = ventricle & (left if rng.random() < 0.5 else ~left) & (space.anatomy.tissue == Tissue.LATERAL)
        ventricle = one if one.any() else ventricle
    y = np.arange(ventricle.shape[1], dtype=np.float32)
    # Blood settles behind, in a patient lying on the back; a clot sticks wherever it is.
    settle = -y[None, :, None] * rng.uniform(0, 1.2) + rng.uniform(0, 30) * rng.choice([-1, 0, 0, 1]) * left
    field = settle + smooth_noise(ventricle.shape, rng.uniform(5, 14), rng) * rng.uniform(3, 14)
    return _Seat(ventricle, np.asarray(np.broadcast_to(field, ventricle.shape), np.float32))


def _convexity(space: Space, free: Mask, rng: np.random.Generator, lowest: float) -> NDArray[np.int64]:
    rim = space.intracranial & (space.depth_mm < 2) & free
    z, _, x = (np.arange(n) for n in rim.shape)
    levels = np.flatnonzero(rim.any(axis=(1, 2)))
    bottom = levels[0] + lowest * (levels[-1] - levels[0])
    top = levels[0] + 0.9 * (levels[-1] - levels[0])
    off_middle = np.abs(x - (rim.shape[2] - 1) / 2) * VOXEL_MM > 25
    return _pick(rim & ((z > bottom) & (z < top))[:, None, None] & off_middle[None, None, :], rng)


def _above_base(space: Space, level: float, over_mm: float) -> Field:
    """0 below a level of the intracranial space's height, 1 from `over_mm` above it; (z, 1, 1)."""
    levels = np.flatnonzero(space.intracranial.any(axis=(1, 2)))
    bottom = levels[0] + level * (levels[-1] - levels[0])
    height = (np.arange(len(space.intracranial)) - bottom) * VOXEL_MM
    return np.asarray(np.clip(height / over_mm, 0, 1)[:, None, None], np.float32)


def _same_side(space: Space, centre: NDArray[np.int64]) -> Mask:
    left = space.anatomy.left
    return left if left[tuple(centre)] else ~left


def _sdh(space: Space, volume_ml: float, free: Mask, rng: np.random.Generator) -> _Seat:
    shape = space.intracranial.shape
    kind = rng.random()
    if kind < 0.2:
        seat = _along_dura(space, volume_ml, free, rng, tentorium=kind < 0.08)
        if seat is not None:
            return seat
    centre = _convexity(space, free, rng, 0.5)
    # Wide and thin: nothing but the falx stops a subdural. It is 5 to 30 mm thick, and always much longer than that.
    thick_mm = rng.uniform(4.5, 8) + rng.uniform(0, 0.14) * volume_ml
    reach = float(np.clip(np.sqrt(volume_ml * 1000 / (0.55 * np.pi * thick_mm)), 22, 95))
    bump = np.clip(1 - (_distance(shape, centre) / reach) ** 2, 0, None) ** rng.uniform(0.4, 0.8)
    bump *= np.clip(1 + 0.22 * smooth_noise(shape, 22, rng), 0.3, None)
    bump *= _above_base(space, 0.38, 18)
    allowed = space.intracranial & _same_side(space, centre) & (bump > 0.1) & (space.depth_mm < 34)
    field = np.asarray(space.depth_mm / (bump + 1e-3), np.float32)
    return _Seat(allowed, field, np.asarray(bump, np.float32), at_skull=True, most_mm=1.3 * min(thick_mm, reach / 3))


def _along_dura(
    space: Space, volume_ml: float, free: Mask, rng: np.random.Generator, *, tentorium: bool
) -> _Seat | None:
    """Subdural blood along the falx or on the tentorium; None when the head has no such sheet."""
    dura = space.anatomy.mask(Tissue.DURA)
    shape = dura.shape
    levels = np.flatnonzero(space.brain.any(axis=(1, 2)))
    cut = int(levels[0] + 0.45 * (levels[-1] - levels[0]))
    sheet = dura.copy()
    if tentorium:
        sheet[cut:] = False
    else:
        sheet[:cut] = False
    if sheet.sum() < 400:
        return None
    coarse = ndimage.binary_dilation(sheet)[::2, ::2, ::2]  # a sheet one voxel thin must not fall through
    away = ndimage.distance_transform_edt(~coarse).astype(np.float32) * (2 * VOXEL_MM)
    away = np.repeat(np.repeat(np.repeat(away, 2, 0), 2, 1), 2, 2)[: shape[0], : shape[1], : shape[2]]
    centre = _pick(sheet, rng)
    side = space.anatomy.left if rng.random() < 0.5 else ~space.anatomy.left
    if not (side & free & space.intracranial).any():
        side = ~side
    reach = float(np.clip(np.sqrt(min(volume_ml, ALONG_DURA_ML) * 1000 / (2.2 * rng.uniform(3, 7))), 14, 60))
    bump = np.clip(1 - (_distance(shape, centre) / reach) ** 2, 0, None) ** 0.5
    bump *= np.clip(1 + 0.2 * smooth_noise(shape, 18, rng), 0.3, None)
    allowed = space.intracranial & side & (away < 10) & (bump > 0.1) & ~sheet
    field = np.asarray(away / (bump + 1e-3), np.float32)
    return _Seat(allowed, field, np.asarray(bump, np.float32), most_ml=ALONG_DURA_ML)


def _edh(space: Space, volume_ml: float, free: Mask, rng: np.random.Generator) -> _Seat:
    shape = space.intracranial.shape
    centre = _convexity(space, free, rng, 0.15)
    # Sutures hold the dura, so the lens ends within a few centimetres and bulges instead.
    aspect = rng.uniform(0.38, 0.75)
    reach = (2 * volume_ml * 1000 / (np.pi * aspect)) ** (1 / 3) * rng.uniform(1.0, 1.15)
    bump = np.clip(1 - (_distance(shape, centre) / reach) ** 2, 0, None)
    bump *= np.clip(1 + 0.07 * smooth_noise(shape, 18, rng), 0.5, None)
    allowed = space.intracranial & _same_side(space, centre) & (bump > 0.03)
    return _Seat(
        allowed, np.asarray(space.depth_mm / (bump + 1e-3), np.float32), np.asarray(bump, np.float32), at_skull=True
    )


def _sah(space: Space, rng: np.random.Generator) -> _Seat:
    # Not the rim itself: blood there reads as a thin subdural, to an expert too.
    csf = space.sulci & (space.depth_mm > 2.4)
    shape = csf.shape
    levels = np.flatnonzero(space.brain.sum(axis=(1, 2)) > 2000)
    csf[: levels[0] if levels.size else 0] = False  # not the spinal canal
    if rng.random() < 0.55:
        z, y, x = (np.arange(n) for n in shape)
        low = np.flatnonzero(csf.any(axis=(1, 2)))
        if not low.size:
            return _Seat(csf, space.depth_mm)
        basal = (
            (z < low[0] + 0.5 * (low[-1] - low[0]))[:, None, None]
            & (np.abs(x - (shape[2] - 1) / 2) < 24)[None, None, :]
            & (np.abs(y - (shape[1] - 1) / 2) < 32)[None, :, None]
        )
        centre = _pick(csf & basal, rng)
    else:
        centre = _pick(csf & (space.depth_mm < 22), rng)
    patches = smooth_noise(shape, 16, rng) * rng.uniform(4, 12)
    return _Seat(csf, _distance(shape, centre) + patches)
