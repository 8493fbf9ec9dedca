"""Bleeds grown on an anatomy.

Each kind is a score over the voxels where it may lie; the best-scoring voxels are filled until the requested
volume is reached, so the truth is exact whatever the shape.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.errors import InvalidVolume
from models.synthesis.anatomy import BRAIN, VENTRICLES, Anatomy, Tissue, smooth_noise

BleedLabel = Literal["IPH", "IVH", "SDH", "EDH", "SAH"]
LABELS: tuple[BleedLabel, ...] = get_args(BleedLabel)
CODE = {label: code for code, label in enumerate(LABELS, start=1)}


@dataclass(frozen=True)
class Bleed:
    """What to grow: a subtype and its volume in millilitres."""

    label: BleedLabel
    volume_ml: float


@dataclass(frozen=True, eq=False)
class Grown:
    """Bleeds on the grid of an anatomy, axes (z, y, x).

    Attributes:
        anatomy: the head after mass effect.
        labels: uint8, 0 none, 1 IPH, 2 IVH, 3 SDH, 4 EDH, 5 SAH.
        blood_hu: float32, attenuation of the bleed where there is one, else 0.
        oedema: float32, 0 to 1, how oedematous the brain is.
    """

    anatomy: Anatomy
    labels: NDArray[np.uint8]
    blood_hu: NDArray[np.float32]
    oedema: NDArray[np.float32]


def grow_bleeds(
    anatomy: Anatomy, bleeds: tuple[Bleed, ...], covered: NDArray[np.bool_], random: np.random.Generator
) -> Grown:
    """Grow bleeds one after another; later ones take only what earlier ones left.

    Args:
        anatomy: the head.
        bleeds: what to grow.
        covered: bool, the anatomy's grid: where the scan will look, so that nothing is grown out of sight.
        random: source of shape and attenuation.
    """
    tissue = anatomy.tissue.copy()
    labels = np.zeros(tissue.shape, np.uint8)
    blood_hu = np.zeros(tissue.shape, np.float32)
    oedema = np.zeros(tissue.shape, np.float32)
    for bleed in sorted(bleeds, key=lambda one: ("EDH", "SDH", "IPH", "IVH", "SAH").index(one.label)):
        wanted = round(bleed.volume_ml * 1000 / anatomy.spacing_mm**3)
        if wanted < 1:
            raise InvalidVolume(f"A bleed of {bleed.volume_ml} mL is smaller than one voxel of the head it grows in.")
        free = covered & (labels == 0)
        score = _SCORES[bleed.label](anatomy.with_tissue(tissue), free, wanted, random)
        mask = _best(score, wanted)
        labels[mask] = CODE[bleed.label]
        blood_hu[mask] = _attenuation(bleed.label, mask, random)
        if bleed.label == "IPH":
            _add_oedema(oedema, mask, anatomy, random)
    if bleeds:
        anatomy = anatomy.with_tissue(_displace(anatomy, tissue, labels, random))
    return Grown(anatomy, labels, blood_hu, oedema)


def _best(score: NDArray[np.float32], wanted: int) -> NDArray[np.bool_]:
    """The `wanted` lowest finite scores, or all of them when there are fewer."""
    candidates = np.flatnonzero(np.isfinite(score))
    values = score.ravel()[candidates]
    if len(values) > wanted:
        candidates = candidates[np.argpartition(values, wanted)[:wanted]]
    mask = np.zeros(score.size, bool)
    mask[candidates] = True
    return mask.reshape(score.shape)


def _pick(mask: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.float64]:
    """Indices (z, y, x) of one voxel of a mask, any with equal chance."""
    flat = np.flatnonzero(mask)
    if len(flat) == 0:
        raise InvalidVolume("The scan covers no place where such a bleed could be. Cover more of the head.")
    return np.array(np.unravel_index(int(random.choice(flat)), mask.shape), float)


def _distance(shape: tuple[int, ...], seed: NDArray[np.float64], stretch: NDArray[np.float64]) -> NDArray[np.float32]:
    """Distance from a seed in voxels, squeezed by `stretch` along each axis."""
    parts = [((np.arange(n) - s) / k).astype(np.float32) ** 2 for n, s, k in zip(shape, seed, stretch, strict=True)]
    distance: NDArray[np.float32] = np.sqrt(parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None, :])
    return distance


def _shape(anatomy: Anatomy) -> tuple[int, int, int]:
    z, y, x = anatomy.tissue.shape
    return z, y, x


def _score_iph(
    anatomy: Anatomy, free: NDArray[np.bool_], wanted: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Deep, lobar, cortical, cerebellar or pontine, irregular when large."""
    brain = anatomy.is_any(*BRAIN) & free
    sites = (
        (0.38, anatomy.is_any(Tissue.DEEP_GREY)),
        (0.30, (anatomy.tissue == Tissue.WHITE) & (anatomy.depth_mm > 10)),
        (0.18, anatomy.is_any(Tissue.GREY, Tissue.WHITE) & (anatomy.depth_mm < 10)),
        (0.10, anatomy.tissue == Tissue.CEREBELLUM),
        (0.04, anatomy.tissue == Tissue.BRAIN_STEM),
    )
    site = sites[random.choice(len(sites), p=[share for share, _ in sites])][1] & brain
    seed = _pick(site if site.any() else brain, random)
    radius = (wanted * 3 / (4 * np.pi)) ** (1 / 3)
    stretch = np.exp(random.normal(0, 0.22, 3))
    rough = smooth_noise(_shape(anatomy), max(2.0, radius * 0.5), random) * random.uniform(0.05, 0.28)
    score = _distance(anatomy.tissue.shape, seed, stretch) / max(radius, 1.0) + rough
    score[~brain] = np.inf
    return score


def _score_ivh(
    anatomy: Anatomy, free: NDArray[np.bool_], wanted: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """A level in the dependent part of the ventricles (supine: posterior), or a cast about a seed."""
    inside = anatomy.is_any(*VENTRICLES) & free
    if inside.sum() < wanted * 1.1:  # A large ventricular bleed comes with large ventricles.
        reach = ndimage.distance_transform_edt(~inside).astype(np.float32)
        reach[~(anatomy.is_any(*BRAIN) & free) & ~inside] = np.inf
        inside |= _best(reach, int(wanted * 1.3) + 1)
    seed = _pick(inside, random)
    if random.random() < 0.5:
        y = np.arange(inside.shape[1], dtype=np.float32)[None, :, None]
        side = 0.06 * random.choice([-1, 1]) * np.arange(inside.shape[2], dtype=np.float32)[None, None, :]
        rough = smooth_noise(_shape(anatomy), 6, random)
        score: NDArray[np.float32] = (-y + side + 0.8 * rough).astype(np.float32)
    else:
        score = _distance(inside.shape, seed, np.array([1.0, 1.6, 1.0]))
    score[~inside] = np.inf
    return score


def _surface(anatomy: Anatomy, free: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.float64]:
    """A voxel at the inner table of the vault: not on the base, not at the midline."""
    height = np.arange(anatomy.tissue.shape[0])[:, None, None] - anatomy.centre[0]
    depth = anatomy.depth_mm
    at_table = (depth > 0) & (depth < 1.6 * anatomy.spacing_mm) & (np.abs(anatomy.midline_mm) > 22)
    return _pick(at_table & (height * anatomy.spacing_mm > -32) & free, random)


def _collection(
    anatomy: Anatomy, free: NDArray[np.bool_], seed: NDArray[np.float64], reach_mm: float, rough: float,
    power: float, random: np.random.Generator,
) -> NDArray[np.float32]:
    """Score of a collection under the vault: deepest at the seed, thinning to nothing at `reach_mm` from it."""
    away = _distance(anatomy.tissue.shape, seed, np.ones(3)) * anatomy.spacing_mm
    edge = smooth_noise(_shape(anatomy), 12 / anatomy.spacing_mm, random) * rough
    profile = np.clip(1 - (away / (reach_mm * (1 + edge))) ** power, 0, 1)
    left = anatomy.midline_mm[tuple(seed.astype(int))] > 0
    same_side = (anatomy.midline_mm > 1.5) if left else (anatomy.midline_mm < -1.5)
    allowed = anatomy.cavity & free & same_side & (profile > 0) & (anatomy.depth_mm > 0)
    score = np.full(profile.shape, np.inf, np.float32)
    score[allowed] = anatomy.depth_mm[allowed] / profile[allowed]
    return score


def _score_sdh(
    anatomy: Anatomy, free: NDArray[np.bool_], wanted: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """A crescent over one hemisphere, or a layer along falx or tentorium."""
    volume_mm3 = wanted * anatomy.spacing_mm**3
    if random.random() < 0.16 and volume_mm3 < 25_000:
        dura = anatomy.is_any(Tissue.DURA) & free
        if dura.sum() > 200:
            seed = _pick(dura, random)
            to_dura = ndimage.distance_transform_edt(~dura).astype(np.float32) * anatomy.spacing_mm
            away = _distance(anatomy.tissue.shape, seed, np.ones(3)) * anatomy.spacing_mm
            left = random.random() < 0.5
            side = (anatomy.midline_mm > -0.5) if left else (anatomy.midline_mm < 0.5)
            profile = np.clip(1 - (away / (26 + (volume_mm3 / 3) ** 0.5)) ** 2, 0, 1)
            allowed = anatomy.is_any(Tissue.CSF, Tissue.DURA, Tissue.GREY) & free & side & (profile > 0)
            score = np.full(profile.shape, np.inf, np.float32)
            score[allowed] = to_dura[allowed] / profile[allowed]
            return score
    # Paraboloid: volume = pi/2 reach^2 thickness; a subdural collection is some millimetres thick whatever its size.
    thickness = random.uniform(4.0, 9.0) + volume_mm3 / 9_000
    reach = float(np.clip(np.sqrt(2 * volume_mm3 / (np.pi * thickness)), 14, 105))
    return _collection(anatomy, free, _surface(anatomy, free, random), reach, 0.12, 2.6, random)


def _score_edh(
    anatomy: Anatomy, free: NDArray[np.bool_], wanted: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """A lens against the inner table, about half as thick as its radius."""
    volume_mm3 = wanted * anatomy.spacing_mm**3
    reach = (2 * volume_mm3 / (np.pi * random.uniform(0.45, 0.75))) ** (1 / 3)
    seed = _surface(anatomy, free, random)
    return _collection(anatomy, free, seed, max(reach, 5.0) * 1.08, 0.04, 2.0, random)


def _score_sah(
    anatomy: Anatomy, free: NDArray[np.bool_], wanted: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Blood in the subarachnoid spaces: about the basal cisterns and fissures, or in some sulci."""
    space = (anatomy.tissue == Tissue.CSF) & free & anatomy.cavity
    height = (np.arange(space.shape[0])[:, None, None] - anatomy.centre[0]) * anatomy.spacing_mm
    cisterns = space & (anatomy.depth_mm > 18) & (height < 5) & (np.abs(anatomy.midline_mm) < 45)
    basal = random.random() < 0.5 and cisterns.any()
    # Away from the very rim, where the space is too thin to be seen apart from the skull.
    sulci = space & (anatomy.depth_mm > 3)
    seed = _pick(cisterns if basal else (sulci if sulci.any() else space), random)
    stretch = np.array([1.0, 1.0, 1.5]) if basal else np.array([1.4, 1.2, 1.0])
    spread = 4 + (wanted * 3 / (4 * np.pi)) ** (1 / 3)
    patchy = smooth_noise(_shape(anatomy), 5 / anatomy.spacing_mm, random) * random.uniform(0.2, 0.7)
    score = _distance(space.shape, seed, stretch) / spread + patchy
    score += 0.8 * np.exp(-anatomy.depth_mm / 2.0)
    score[~space] = np.inf
    return score


_SCORES = {"IPH": _score_iph, "IVH": _score_ivh, "SDH": _score_sdh, "EDH": _score_edh, "SAH": _score_sah}


def _attenuation(label: BleedLabel, mask: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.float32]:
    """HU of each voxel of a bleed: uniform, mottled, or with a fluid level; a subdural one may be old."""
    low, high = {"IPH": (55, 82), "IVH": (48, 75), "SDH": (50, 76), "EDH": (52, 76), "SAH": (50, 74)}[label]
    level = random.uniform(low, high)
    where = np.argwhere(mask)
    values = np.full(len(where), level, np.float32)
    mottle = random.normal(0, 1, (5, 3)) * 0.12
    phase = random.uniform(0, 6.28, 5)
    for wave, start in zip(mottle, phase, strict=True):
        values += np.sin(where @ wave + start).astype(np.float32) * random.uniform(0.5, 3.0)
    kind = random.random()
    if label == "SDH" and kind < 0.18:
        values += random.uniform(32, 42) - level  # isodense
    elif label in ("SDH", "IPH", "EDH") and kind < 0.32:
        cut = np.quantile(where[:, 1], random.uniform(0.3, 0.6))  # layered: clearer fluid in front
        values[where[:, 1] < cut] -= random.uniform(8, 25)
    return values


def _add_oedema(
    oedema: NDArray[np.float32], mask: NDArray[np.bool_], anatomy: Anatomy, random: np.random.Generator
) -> None:
    """A fading rim of oedema about a parenchymal bleed, in place."""
    width = random.uniform(0, 7) / anatomy.spacing_mm
    if width < 1:
        return
    margin = int(np.ceil(width)) * 2
    box = tuple(
        slice(max(int(found.min()) - margin, 0), int(found.max()) + margin + 1) for found in np.nonzero(mask)
    )
    rim = np.exp(-((ndimage.distance_transform_edt(~mask[box]) / width) ** 2)).astype(np.float32)
    rim[~anatomy.is_any(*BRAIN)[box]] = 0
    oedema[box] = np.maximum(oedema[box], rim * random.uniform(0.5, 1.0))


def _displace(
    anatomy: Anatomy, tissue: NDArray[np.uint8], labels: NDArray[np.uint8], random: np.random.Generator
) -> NDArray[np.uint8]:
    """Mass effect: brain gives way to the masses (IPH, SDH, EDH), pushed down the gradient of their blurred volume."""
    mass = np.isin(labels, (CODE["IPH"], CODE["SDH"], CODE["EDH"]))
    volume_ml = float(mass.sum()) * anatomy.spacing_mm**3 / 1000
    if volume_ml < 5:
        return tissue
    coarse = ndimage.zoom(mass.astype(np.float32), 0.25, order=1, grid_mode=True, mode="nearest")
    sigma = 14 / anatomy.spacing_mm / 4
    field = np.stack(np.gradient(ndimage.gaussian_filter(coarse, sigma)))
    peak = float(np.sqrt((field**2).sum(axis=0)).max()) + 1e-6
    push = min(9.0, 1.2 * volume_ml ** (1 / 2)) * random.uniform(0.3, 1.0) / anatomy.spacing_mm
    field *= push / peak
    zoomed = np.empty((3, *tissue.shape), np.float32)
    factors = [full / part for full, part in zip(tissue.shape, coarse.shape, strict=True)]
    for axis in range(3):
        zoomed[axis] = ndimage.zoom(field[axis], factors, order=1, grid_mode=True, mode="nearest")
    inner = np.flatnonzero(anatomy.cavity & ~mass & (anatomy.depth_mm > 1))
    where = np.stack(np.unravel_index(inner, tissue.shape)).astype(np.float32)
    # The field points towards the mass, so what is seen here came from nearer to it.
    source = np.rint(where + zoomed.reshape(3, -1)[:, inner]).astype(np.intp)
    for axis, size in enumerate(tissue.shape):
        np.clip(source[axis], 0, size - 1, out=source[axis])
    moved = tissue.ravel().copy()
    sampled = tissue[source[0], source[1], source[2]]
    inside = np.isin(sampled, np.array([*BRAIN, *VENTRICLES, Tissue.CSF, Tissue.DURA, Tissue.CALCIFICATION]))
    moved[inner[inside]] = sampled[inside]
    return moved.reshape(tissue.shape)
