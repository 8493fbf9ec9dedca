"""What is put into a synthetic brain: fresh infarcts, and what is taken for them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.ais.train.tissue import Maps
from models.synthesis.noise import smooth_noise
from models.synthesis.space import Field, Mask, Space
from models.synthesis.tissue import VENTRICLES, VOXEL_MM, Tissue

Kind = Literal["territory", "deep", "embolic", "posterior"]
Mimic = Literal["shine-through", "old", "leukoaraiosis"]
VOXEL_ML = VOXEL_MM**3 / 1000

_SITES: dict[Kind, tuple[Tissue, ...]] = {
    "territory": (Tissue.GREY, Tissue.WHITE, Tissue.DEEP_GREY),
    "deep": (Tissue.DEEP_GREY, Tissue.WHITE),
    "embolic": (Tissue.GREY, Tissue.WHITE),
    "posterior": (Tissue.CEREBELLUM, Tissue.BRAIN_STEM),
}


@dataclass(frozen=True)
class Infarct:
    """One fresh infarct to put in.

    Attributes:
        adc_ratio: its ADC to that of the tissue it was.
        age: 0 within the first hours, where FLAIR shows nothing yet, to 1 after a day.
        left: on the patient's left; None: either side.
    """

    kind: Kind
    volume_ml: float
    adc_ratio: float = 0.6
    age: float = 0.5
    left: bool | None = None


def draw_infarcts(rng: np.random.Generator) -> list[Infarct]:
    """One stroke: a territory with or without fragments, a lacune, a shower of emboli, or the posterior fossa."""
    ratio, age = float(rng.uniform(0.45, 0.76)), float(rng.uniform(0, 1))
    left = bool(rng.random() < 0.5)

    def one(kind: Kind, low: float, high: float) -> Infarct:
        volume = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        return Infarct(kind, volume, float(np.clip(ratio * rng.normal(1, 0.06), 0.4, 0.82)), age, left)

    stroke = rng.choice(["territory", "fragments", "deep", "shower", "posterior"], p=[0.3, 0.2, 0.15, 0.25, 0.1])
    if stroke == "territory":
        return [one("territory", 4, 150)]
    if stroke == "fragments":
        return [one("territory", 4, 80), *(one("embolic", 0.1, 2) for _ in range(rng.integers(1, 6)))]
    if stroke == "deep":
        return [one("deep", 0.2, 8)]
    if stroke == "posterior":
        return [one("posterior", 0.3, 25)]
    return [one("embolic", 0.08, 2.5) for _ in range(rng.integers(1, 9))]


def infarct(maps: Maps, space: Space, infarcts: list[Infarct], rng: np.random.Generator) -> tuple[Maps, Mask]:
    """The tissue with infarcts in it, and where they are."""
    core = np.zeros(space.brain.shape, np.bool_)
    density, t1, t2, adc = (field.copy() for field in (maps.density, maps.t1_ms, maps.t2_ms, maps.adc))
    for one in infarcts:
        where = _grow(space, one, core, rng)
        core |= where
        weight = _soft(where) * space.brain
        inside = weight > 0
        uneven = 1 + 0.10 * smooth_noise(core.shape, 8, rng)[inside]
        share = weight[inside]
        adc[inside] *= 1 - share + share * np.clip(one.adc_ratio * uneven, 0.35, 0.95)
        t2[inside] *= 1 + share * (0.7 * one.age)
        t1[inside] *= 1 + share * (0.3 * one.age)
    return Maps(density, t1, t2, adc), core


def add_mimic(maps: Maps, space: Space, mimic: Mimic, rng: np.random.Generator, avoid: Mask) -> Maps:
    """The tissue with something in it that is no fresh infarct, clear of `avoid`."""
    t1, t2, adc = (field.copy() for field in (maps.t1_ms, maps.t2_ms, maps.adc))
    if mimic == "leukoaraiosis":
        ventricles = space.anatomy.mask(*VENTRICLES)
        near = _near(ventricles, float(rng.uniform(3, 9))) & space.anatomy.mask(Tissue.WHITE)
        where = near & (smooth_noise(near.shape, 10, rng) > rng.uniform(-0.5, 0.8))
        long_t2, fast = rng.uniform(1.2, 1.6), rng.uniform(1.1, 1.45)
    else:
        volume = float(np.exp(rng.uniform(np.log(0.5), np.log(25))))
        where = _grow(space, Infarct("territory", volume), avoid, rng)
        long_t2, fast = (
            (rng.uniform(1.6, 2.4), rng.uniform(1.05, 1.5))
            if mimic == "shine-through"
            else (rng.uniform(2.0, 4.0), rng.uniform(1.8, 3.0))
        )
    weight = _soft(where & ~_near(avoid, 3)) * space.brain
    t2 *= 1 + weight * (long_t2 - 1)
    t1 *= 1 + weight * 0.5 * (long_t2 - 1)
    adc *= 1 + weight * (fast - 1)
    return Maps(maps.density, t1, t2, adc)


def _soft(mask: Mask) -> Field:
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), 0.7, truncate=3), np.float32)


def _near(mask: Mask, reach_mm: float) -> Mask:
    if not mask.any():
        return mask
    near: NDArray[np.bool_] = ndimage.binary_dilation(mask, iterations=max(1, round(reach_mm / VOXEL_MM)))
    return near


def _grow(space: Space, one: Infarct, avoid: Mask, rng: np.random.Generator) -> Mask:
    """The voxels of the site nearest to a point of it, by a distance that is stretched and frayed, on one side."""
    tissue = space.anatomy.tissue
    site = np.isin(tissue, np.array(_SITES[one.kind], np.uint8)) & ~avoid
    if one.left is not None:
        site &= space.anatomy.left == one.left
    places = np.argwhere(site)
    result = np.zeros(site.shape, np.bool_)
    if not len(places):
        return result
    centre = places[rng.integers(len(places))]
    same_side = space.anatomy.left == space.anatomy.left[tuple(centre)]
    voxels = max(1, round(one.volume_ml / VOXEL_ML))
    reach = int(np.ceil(2.6 * (voxels * 3 / (4 * np.pi)) ** (1 / 3))) + 4
    box = tuple(slice(max(0, c - reach), c + reach + 1) for c in centre)
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0] * np.exp(rng.normal(0, 0.3, 3))[None]
    grid = np.stack(np.meshgrid(*[np.arange(s.start, min(s.stop, n)) - c for s, n, c in
                                  zip(box, site.shape, centre, strict=True)], indexing="ij"), axis=-1)  # fmt: skip
    distance = np.linalg.norm(grid @ axes, axis=-1)
    distance *= np.exp(0.22 * smooth_noise(distance.shape, max(4.0, reach / 2), rng))
    allowed = site[box] & same_side[box]
    inside = distance[allowed]
    if inside.size:
        limit = np.partition(inside, min(voxels, inside.size) - 1)[min(voxels, inside.size) - 1]
        result[box] = allowed & (distance <= limit)
    return result
