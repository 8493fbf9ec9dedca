"""From anatomy and bleeds to Hounsfield units, with what else looks bright or dark in a head CT."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.synthesis.bleeding import SUBTYPES, VOXEL_ML, Bled
from models.synthesis.noise import smooth_noise
from models.synthesis.space import Field, Mask, Space
from models.synthesis.tissue import DENSITY_HU, VENTRICLES, VOXEL_MM, Tissue

# Density of fresh blood by subtype: mean and spread between bleeds, HU. CSF dilutes SAH and IVH.
BLOOD_HU: dict[str, tuple[float, float]] = {
    "IPH": (64, 7),
    "IVH": (60, 7),
    "SDH": (62, 7),
    "EDH": (64, 7),
    "SAH": (61, 6),
}

FRESH_CONTRAST_HU = 12.0
"""Above the brain. What nobody can see teaches nothing but to guess, and as a test it measures nothing."""

OLD_SDH_FROM_ML, ISODENSE_FROM_ML = 20.0, 40.0
"""Old collections, and those as dense as brain, are known by their mass."""


@dataclass(frozen=True)
class Shares:
    """How often a head has what is taken for a subdural collection, and one is as dense as brain.

    Attributes:
        thick_rim, infarct, hygroma: of the heads.
        isodense: of the subdural collections large enough for it.
    """

    thick_rim: float = 0.4
    infarct: float = 0.3
    hygroma: float = 0.12
    isodense: float = 0.08


USUAL = Shares()
HARD = Shares(thick_rim=0.7, infarct=0.5, hygroma=0.4, isodense=0.4)


def paint(bled: Bled, rng: np.random.Generator, *, fresh: bool = False, shares: Shares = USUAL) -> Field:
    """Hounsfield units on the anatomy's grid (z, y, x), before the scanner blurs and adds noise.

    Args:
        fresh: blood of usual density alone, as in the demonstration; else isodense, mixed and chronic SDH, anaemia,
            and confounders occur.
        shares: how often.
    """
    space, labels = bled.space, bled.labels
    tissue = space.anatomy.tissue
    if not fresh:
        tissue = _with_calcifications(space, rng)
    hu = _densities(rng)[tissue]
    shape = hu.shape
    inside = space.intracranial
    hu += np.where(inside, smooth_noise(shape, 20, rng) * 1.2 + smooth_noise(shape, 3, rng) * rng.uniform(0, 1.5), 0)
    bone = (tissue == Tissue.BONE) | (tissue == Tissue.DIPLOE)
    hu += np.where(bone, smooth_noise(shape, 5, rng) * 120, 0)
    fat = tissue == Tissue.FAT
    hu += np.where(fat, np.clip(smooth_noise(shape, 4, rng) - 0.8, 0, None) * rng.uniform(0, 120), 0)
    if not fresh:
        _rim(hu, space, rng, shares.thick_rim)
        _confound(hu, space, rng, shares)
    for value, label in enumerate(SUBTYPES, start=1):
        mask = labels == value
        if mask.any():
            _bleed(hu, mask, label, bled, rng, fresh=fresh, isodense=shares.isodense)
    return _harden(hu, bone, space, rng)


def _densities(rng: np.random.Generator) -> Field:
    table = np.zeros(256, np.float32)
    for kind, (mean, spread) in DENSITY_HU.items():
        table[kind] = mean + rng.normal(0, spread)
    # One brain is denser than another as a whole; grey and white matter keep their order and distance.
    table[Tissue.GREY] = rng.uniform(31.5, 39.5)
    table[Tissue.DEEP_GREY] = table[Tissue.GREY] + rng.normal(0, 1)
    table[Tissue.CEREBELLUM] = table[Tissue.GREY] + rng.normal(0, 1.5)
    table[Tissue.WHITE] = table[Tissue.GREY] - rng.uniform(3.5, 10)
    table[Tissue.BRAIN_STEM] = table[Tissue.WHITE] + rng.uniform(0, 4)
    table[Tissue.CSF] = rng.uniform(2, 15)
    table[[Tissue.VENTRICLE, Tissue.LATERAL]] = rng.uniform(1, 12)
    table[Tissue.VENOUS] = rng.uniform(44, 66)
    table[Tissue.DURA] = rng.uniform(36, 66)
    table[Tissue.BONE] = rng.uniform(400, 1400)
    table[Tissue.DIPLOE] = table[Tissue.BONE] * rng.uniform(0.4, 0.9)
    table[Tissue.CALCIFICATION] = rng.uniform(70, 320)
    return table


def _rim(hu: Field, space: Space, rng: np.random.Generator, thick_share: float) -> None:
    """Dura and the veins in it line the skull: a thin bright rim in everybody, thicker and patchy in some."""
    kind = rng.random()
    if kind < 0.2:
        return
    thickness_mm = np.float32(1.3)
    if kind > 1 - thick_share:
        thickness_mm = rng.uniform(1.3, 3.2) * np.clip(1 + 0.4 * smooth_noise(hu.shape, 25, rng), 0.2, 1.5)
    lining = space.intracranial & (space.depth_mm < thickness_mm)
    hu[lining] = np.maximum(hu[lining], rng.uniform(25, 56))


def _confound(hu: Field, space: Space, rng: np.random.Generator, shares: Shares) -> None:
    tissue, shape = space.anatomy.tissue, hu.shape
    if rng.random() < shares.infarct:
        _old_infarct(hu, space, rng)
    if rng.random() < 0.3:  # leukoaraiosis
        near = ndimage.binary_dilation(tissue == Tissue.LATERAL, iterations=int(rng.integers(3, 10)))
        pale = near & (tissue == Tissue.WHITE) & (smooth_noise(shape, 12, rng) > -0.3)
        hu[pale] -= rng.uniform(4, 14)
    if rng.random() < shares.hygroma:  # hygroma or wide rim of the old, without blood
        side = space.anatomy.left if rng.random() < 0.5 else ~space.anatomy.left
        thick = np.clip(1 + smooth_noise(shape, 30, rng), 0, 2) * rng.uniform(1.5, 4)
        fluid = space.intracranial & side & (space.depth_mm < thick) & (space.depth_mm > 0)
        hu[fluid] = rng.uniform(2, 13)
    if rng.random() < 0.12:  # blood in the scalp is none in the head
        scalp = np.isin(tissue, (Tissue.FAT, Tissue.SOFT))
        levels = np.flatnonzero(space.brain.any(axis=(1, 2)))
        scalp[: int(levels.mean()) if levels.size else 0] = False
        spot = ndimage.binary_dilation(_ball(scalp, rng, rng.uniform(12, 30)) & scalp, iterations=2)
        hu[spot & (tissue != Tissue.BONE) & (tissue != Tissue.DIPLOE) & ~space.intracranial] = rng.uniform(45, 75)
    if rng.random() < 0.06:  # contrast medium: sinuses, dura and choroid shine
        extra = rng.uniform(30, 110)
        hu[np.isin(tissue, (Tissue.VENOUS, Tissue.DURA))] += extra
        hu[np.isin(tissue, (Tissue.GREY, Tissue.DEEP_GREY, Tissue.CEREBELLUM))] += rng.uniform(2, 7)
        _thread(hu, space, rng, radius_mm=1.5, density=60 + extra, count=4, where=space.sulci)
    elif rng.random() < 0.4:  # large arteries and cortical veins, a little denser than brain
        _thread(
            hu, space, rng, radius_mm=rng.uniform(0.9, 1.8), density=rng.uniform(42, 62), count=3, where=space.sulci
        )
    if rng.random() < 0.05:  # shunt or drain
        _catheter(hu, space, rng)


def _ball(where: Mask, rng: np.random.Generator, radius_mm: float) -> Mask:
    places = np.flatnonzero(where)
    if not places.size:
        return np.zeros_like(where)
    centre = np.unravel_index(places[rng.integers(places.size)], where.shape)
    grid = np.ogrid[tuple(slice(0, n) for n in where.shape)]
    ball: Mask = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) * VOXEL_MM**2 < radius_mm**2
    return ball


def _thread(
    hu: Field, space: Space, rng: np.random.Generator, *, radius_mm: float, density: float, count: int, where: Mask
) -> None:
    """Vessels: short winding lines in the CSF."""
    places = np.argwhere(where)
    if not len(places):
        return
    limit = np.array(hu.shape) - 1
    for _ in range(count * 2):
        at = places[rng.integers(len(places))].astype(float)
        heading = rng.normal(size=3)
        for _ in range(int(rng.uniform(8, 30))):
            heading = heading / np.linalg.norm(heading) + rng.normal(0, 0.25, 3)
            at = at + heading / np.linalg.norm(heading)
            _dot(hu, space, np.clip(at, 0, limit), radius_mm, density)


def _catheter(hu: Field, space: Space, rng: np.random.Generator) -> None:
    ends = np.argwhere(space.anatomy.mask(*VENTRICLES))
    entries = np.argwhere(space.intracranial & (space.depth_mm < 2))
    if not len(ends) or not len(entries):
        return
    high = entries[entries[:, 0] > np.quantile(entries[:, 0], 0.6)]
    start, end = high[rng.integers(len(high))], ends[rng.integers(len(ends))]
    density = rng.uniform(90, 400)
    for share in np.linspace(0, 1, int(np.linalg.norm(end - start)) + 2):
        _dot(hu, space, start + share * (end - start), 1.5, density)


def _dot(hu: Field, space: Space, at: NDArray[np.float64], radius_mm: float, density: float) -> None:
    reach = int(np.ceil(radius_mm / VOXEL_MM))
    low = np.maximum(np.round(at).astype(int) - reach, 0)
    box = tuple(slice(int(a), int(a) + 2 * reach + 1) for a in low)
    grid = np.ogrid[box]
    near = sum((g - c) ** 2 for g, c in zip(grid, at, strict=True)) * VOXEL_MM**2 <= radius_mm**2
    part = hu[box]
    near = near[tuple(slice(0, n) for n in part.shape)] & space.intracranial[box]
    part[near] = density


def _bleed(
    hu: Field, mask: Mask, label: str, bled: Bled, rng: np.random.Generator, *, fresh: bool, isodense: float
) -> None:
    shape = hu.shape
    mean, spread = BLOOD_HU[label]
    density = rng.normal(mean, spread * (0.5 if fresh else 1))
    palest = max(50.0, float(np.median(hu[bled.space.brain])) + FRESH_CONTRAST_HU)
    density = float(np.clip(density, palest, 88))
    noise = smooth_noise(shape, rng.uniform(3, 9), rng)[mask]
    blood = density + noise * rng.uniform(1, 5)
    height = _behind(mask)
    kind = 1.0 if fresh else rng.random()
    size_ml = float(mask.sum()) * VOXEL_ML if label == "SDH" else 0.0
    old = size_ml > OLD_SDH_FROM_ML
    if size_ml > ISODENSE_FROM_ML and kind < isodense:  # days to weeks old
        blood = _with_septa(rng.uniform(32, 44) + noise * rng.uniform(1, 3), density, mask, rng)
    elif old and kind < 0.44:  # chronic
        blood = _with_septa(rng.uniform(14, 29) + noise * rng.uniform(1, 4), density, mask, rng)
    elif old and kind < 0.56:  # mixed: cells settle behind, serum in front
        pale = rng.uniform(16, 34)
        blood = np.where(height > rng.uniform(0.3, 0.75), blood, pale + noise * 3)
    elif old and kind < 0.68:  # fresh into old
        clots = smooth_noise(shape, rng.uniform(8, 20), rng)[mask]
        fluid = _with_septa(rng.uniform(17, 34) + noise * 2, density, mask, rng)
        blood = np.where(clots > rng.uniform(-0.3, 1.0), blood, fluid)
    elif label in ("IPH", "EDH") and kind < 0.12:  # swirl of blood not yet clotted
        blood = np.where(noise > 0.9, rng.uniform(35, 48), blood)
    elif label == "IPH" and kind < 0.2:  # fluid level
        blood = np.where(height > rng.uniform(0.35, 0.7), blood, rng.uniform(25, 45))
    elif label in ("SAH", "IVH"):  # diluted
        share = rng.uniform(0.78, 1.0) if not fresh else 1.0
        blood = hu[mask] + (blood - hu[mask]) * np.clip(share + 0.1 * noise, 0.65, 1)
    hu[mask] = blood
    if label == "IPH":
        _oedema(hu, mask, bled, rng)


def _with_septa(
    fluid: NDArray[np.floating], density: float, mask: Mask, rng: np.random.Generator
) -> NDArray[np.floating]:
    """Membranes divide two in three old collections into chambers; thick ones are as dense as brain or fresh blood."""
    if rng.random() < 0.35:
        return fluid
    walls = np.abs(smooth_noise(mask.shape, rng.uniform(8, 18), rng)[mask]) < rng.uniform(0.08, 0.3)
    return np.where(walls, rng.uniform(36, density), fluid)


def _behind(mask: Mask) -> NDArray[np.float64]:
    """For each voxel of a mask, how far back it lies in it, 0 (front) to 1."""
    y = np.nonzero(mask)[1].astype(float)
    return np.asarray((y - y.min()) / (np.ptp(y) + 1e-6))


def _oedema(hu: Field, mask: Mask, bled: Bled, rng: np.random.Generator) -> None:
    ring = ndimage.binary_dilation(mask, iterations=int(rng.integers(1, 7))) & (bled.labels == 0)
    ring &= bled.space.anatomy.mask(Tissue.WHITE, Tissue.DEEP_GREY, Tissue.GREY)
    hu[ring] -= rng.uniform(2, 12)


def _with_calcifications(space: Space, rng: np.random.Generator) -> NDArray[np.uint8]:
    tissue = space.anatomy.tissue.copy()
    lateral = tissue == Tissue.LATERAL
    z, y, _ = np.nonzero(lateral)
    if y.size and rng.random() < 0.75:  # choroid plexus, behind
        _speckle(tissue, lateral & (np.arange(tissue.shape[1]) > np.quantile(y, 0.75))[None, :, None], rng, 3.5)
    if y.size and rng.random() < 0.6:  # pineal, between the trigones
        middle = np.array([np.median(z), np.quantile(y, 0.7), tissue.shape[2] / 2])
        gz, gy, gx = np.ogrid[tuple(slice(0, n) for n in tissue.shape)]
        near = ((gz - middle[0]) / 9) ** 2 + ((gy - middle[1]) / 9) ** 2 + ((gx - middle[2]) / 2.5) ** 2 < 1
        _speckle(tissue, near & space.intracranial, rng, 2.4)
    if rng.random() < 0.4:
        _speckle(tissue, tissue == Tissue.DURA, rng, 4)
    if rng.random() < 0.25:
        _speckle(tissue, tissue == Tissue.DEEP_GREY, rng, 2.5)
    if rng.random() < 0.25:  # walls of the carotid and vertebral arteries
        levels = np.flatnonzero(space.brain.any(axis=(1, 2)))
        low = space.intracranial & (space.depth_mm < 12)
        low[int(levels[0] + 0.35 * np.ptp(levels)) if levels.size else 0 :] = False
        _speckle(tissue, low, rng, 1.8)
    return tissue


def _speckle(tissue: NDArray[np.uint8], where: Mask, rng: np.random.Generator, radius_mm: float) -> None:
    places = np.flatnonzero(where)
    if places.size == 0:
        return
    reach = int(np.ceil(radius_mm / VOXEL_MM)) + 1
    for _ in range(rng.integers(1, 5)):
        z, y, x = np.unravel_index(places[rng.integers(places.size)], tissue.shape)
        box = tuple(slice(max(0, int(c) - reach), int(c) + reach + 1) for c in (z, y, x))
        grid = np.ogrid[box]
        part = tissue[box]
        distance = sum((g - c) ** 2 for g, c in zip(grid, (z, y, x), strict=True))
        near = (np.sqrt(distance) * VOXEL_MM < radius_mm * rng.uniform(0.4, 1))[tuple(slice(0, n) for n in part.shape)]
        part[near & where[box]] = Tissue.CALCIFICATION


def _old_infarct(hu: Field, space: Space, rng: np.random.Generator) -> None:
    places = np.flatnonzero(space.brain)
    centre = np.unravel_index(places[rng.integers(places.size)], hu.shape)
    grid = np.ogrid[tuple(slice(0, n) for n in hu.shape)]
    distance = np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)), dtype=np.float32) * VOXEL_MM
    inside = (distance + smooth_noise(hu.shape, 10, rng) * 4 < rng.uniform(4, 26)) & space.brain
    hu[inside] = hu[inside] * rng.uniform(0.3, 0.8) + rng.uniform(3, 9)


def _harden(hu: Field, bone: Mask, space: Space, rng: np.random.Generator) -> Field:
    """Cupping under the skull, and dark and bright bands between dense bones (beam hardening)."""
    share = ndimage.uniform_filter(bone[::2, ::2, ::2].astype(np.float32), (2, 13, 23))
    share = np.repeat(np.repeat(np.repeat(share, 2, 0), 2, 1), 2, 2)
    bands = smooth_noise(hu.shape, 8, rng)
    rim = np.exp(-space.depth_mm / rng.uniform(3, 14)) * rng.uniform(-1, 9)
    # The vault curves over the highest slices: every ray crosses bone at a slant, and the brain looks denser.
    levels = np.flatnonzero(space.intracranial.any(axis=(1, 2)))
    top = levels[-1] if levels.size else 0
    vertex = np.exp(-np.clip(top - np.arange(hu.shape[0]), 0, None) * VOXEL_MM / 12) * rng.uniform(0, 12)
    effect = share * bands * rng.uniform(5, 35) + rim + vertex[:, None, None]
    hu += np.where(space.intracranial, effect, 0)
    return hu
