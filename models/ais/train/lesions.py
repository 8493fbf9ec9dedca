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

Kind = Literal["territory", "deep", "embolic", "cortical", "posterior"]
Mimic = Literal["shine-through", "old", "leukoaraiosis", "both sides", "plexus"]
VOXEL_ML = VOXEL_MM**3 / 1000

_SITES: dict[Kind, tuple[Tissue, ...]] = {
    "territory": (Tissue.GREY, Tissue.WHITE, Tissue.DEEP_GREY),
    "deep": (Tissue.DEEP_GREY, Tissue.WHITE),
    "embolic": (Tissue.GREY, Tissue.WHITE),
    "cortical": (Tissue.GREY,),
    "posterior": (Tissue.CEREBELLUM, Tissue.BRAIN_STEM),
}


@dataclass(frozen=True)
class Infarct:
    """One fresh infarct to put in.

    Attributes:
        adc_ratio: its ADC to that of the tissue it was.
        age: 0 within the first hours, where FLAIR shows nothing yet, 1 after a day, to 1.8 after one or two weeks.
        left: on the patient's left; None: either side.
        spared: share of it that stayed alive, in islands.
        edge_mm: how far its border fades, in standard deviations.
        uneven: relative spread of its ADC within it.
    """

    kind: Kind
    volume_ml: float
    adc_ratio: float = 0.6
    age: float = 0.5
    left: bool | None = None
    spared: float = 0.0
    edge_mm: float = 0.6
    uneven: float = 0.10


def draw_infarcts(rng: np.random.Generator) -> list[Infarct]:
    """One stroke: a territory with or without fragments, a lacune, a shower of emboli, cortex, or the posterior fossa.

    ADC falls within the first hours and returns while T2 grows: the later, the less it is the ADC that shows a core.
    Parts of one stroke differ: emboli come hours and days apart, and some tissue is hurt less than other.
    """
    late = rng.random() < 0.25
    age = float(rng.uniform(0.8, 1.8) if late else rng.uniform(0, 1))
    ratio = float(rng.uniform(0.68, 0.97) if late else rng.uniform(0.42, 0.76))
    left = bool(rng.random() < 0.5)

    def one(kind: Kind, low: float, high: float, *, side: bool | None = left) -> Infarct:
        volume = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        spared = float(rng.uniform(0.1, 0.45)) if volume > 3 and rng.random() < 0.4 else 0.0
        hurt = float(rng.uniform(0.5, 1.1)) if rng.random() < 0.5 else float(rng.normal(1, 0.1))
        radius_mm = (volume * 750 / np.pi) ** (1 / 3)
        return Infarct(
            kind,
            volume,
            # What nobody could see teaches to mark what is not there: an early infarct is dark on ADC.
            float(np.clip(1 - (1 - ratio) * hurt, 0.4, 0.97 if late else 0.8)),
            age * float(rng.uniform(0.8, 1.2)),
            side,
            spared,
            edge_mm=min(float(rng.uniform(0.6, 2.0)), max(0.6, 0.3 * radius_mm)),
            uneven=float(rng.uniform(0.05, 0.25)),
        )

    stroke = rng.choice(
        ["territory", "fragments", "deep", "lacune", "shower", "cortical", "posterior"],
        p=[0.16, 0.2, 0.1, 0.1, 0.24, 0.1, 0.1],
    )
    if stroke == "territory":
        return [one("territory", 4, 150)]
    if stroke == "fragments":
        return [one("territory", 3, 80), *(one("embolic", 0.05, 2) for _ in range(rng.integers(1, 12)))]
    if stroke == "deep":
        return [one("deep", 0.8, 10)]
    if stroke == "lacune":
        return [one("deep", 0.08, 1.2)]
    if stroke == "cortical":
        return [one("cortical", 0.3, 15) for _ in range(rng.integers(1, 4))]
    if stroke == "posterior":
        return [one("posterior", 0.1, 25) for _ in range(rng.integers(1, 3))]
    most = 0.6 if rng.random() < 0.5 else 2.5
    side = None if rng.random() < 0.3 else left
    kinds: list[Kind] = ["embolic", "embolic", "cortical", "posterior"]
    return [one(kinds[rng.integers(4)], 0.03, most, side=side) for _ in range(rng.integers(1, 22))]


def infarct(maps: Maps, space: Space, infarcts: list[Infarct], rng: np.random.Generator) -> tuple[Maps, Mask]:
    """The tissue with infarcts in it, and where they are."""
    core = np.zeros(space.brain.shape, np.bool_)
    t1, t2, adc = (field.copy() for field in (maps.t1_ms, maps.t2_ms, maps.adc))
    sites = Sites(space)
    for one in infarcts:
        box, where = sites.grow(one, core, rng)
        where = _spare(where, one.spared, rng)
        core[box] |= where
        share = _soft(where, one.edge_mm / VOXEL_MM) * space.brain[box]
        uneven = 1 + one.uneven * smooth_noise(where.shape, 8, rng)
        adc[box] *= 1 - share + share * np.clip(one.adc_ratio * uneven, 0.35, 1.02)
        t2[box] *= 1 + share * (0.7 * one.age)
        t1[box] *= 1 + share * (0.3 * one.age)
    return Maps(maps.density, t1, t2, adc), core


def add_mimic(maps: Maps, space: Space, mimic: Mimic, rng: np.random.Generator, avoid: Mask) -> Maps:
    """The tissue with something in it that is no fresh infarct, clear of `avoid`.

    Brightness on both sides is tracts, cortex or age; a bright plexus hangs in the lateral ventricles.
    """
    if mimic == "plexus":
        return _add_plexus(maps, space, rng)
    where = np.zeros(space.brain.shape, np.bool_)
    sites = Sites(space)
    if mimic == "leukoaraiosis":
        ventricles = space.anatomy.mask(*VENTRICLES)
        near = _near(ventricles, float(rng.uniform(3, 9))) & space.anatomy.mask(Tissue.WHITE)
        where = near & (smooth_noise(near.shape, 10, rng) > rng.uniform(-0.5, 0.8))
        long_t2, fast = rng.uniform(1.2, 1.6), rng.uniform(1.1, 1.45)
    elif mimic == "both sides":
        for _ in range(rng.integers(1, 5)):
            kind: Kind = "cortical" if rng.random() < 0.5 else "deep"
            box, grown = sites.grow(Infarct(kind, float(np.exp(rng.uniform(np.log(0.3), np.log(12))))), where, rng)
            where[box] |= grown
        where |= _mirrored(where, space) & space.brain
        long_t2, fast = rng.uniform(1.05, 1.45), rng.uniform(0.84, 1.05)
    else:
        box, grown = sites.grow(Infarct("territory", float(np.exp(rng.uniform(np.log(0.5), np.log(25))))), avoid, rng)
        where[box] = grown
        long_t2, fast = (
            (rng.uniform(1.6, 2.4), rng.uniform(1.05, 1.5))
            if mimic == "shine-through"
            else (rng.uniform(2.0, 4.0), rng.uniform(1.8, 3.0))
        )
    around = _box_of(where)
    if around is None:
        return maps
    box = around
    t1, t2, adc = (field.copy() for field in (maps.t1_ms, maps.t2_ms, maps.adc))
    weight = _soft(where[box] & ~_near(avoid[box], 3)) * space.brain[box]
    t2[box] *= 1 + weight * (long_t2 - 1)
    t1[box] *= 1 + weight * 0.5 * (long_t2 - 1)
    adc[box] *= 1 + weight * (fast - 1)
    return Maps(maps.density, t1, t2, adc)


Box = tuple[slice, ...]
MARGIN = 4
"""Voxels around what is put in, so that its soft edge fits into its box."""


class Sites:
    """Where lesions can begin in a head."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._places: dict[Kind, NDArray[np.intp]] = {}

    def grow(self, one: Infarct, avoid: Mask, rng: np.random.Generator) -> tuple[Box, Mask]:
        """The voxels of the site nearest to a point of it, by a distance that is stretched and frayed, on one side.

        Returns:
            A box of the head, and the voxels within it; none where there is no site.
        """
        tissue, left = self._space.anatomy.tissue, self._space.anatomy.left
        found = self._begin(one, avoid, rng)
        if found is None:
            return (slice(0, 1),) * 3, np.zeros((1, 1, 1), np.bool_)
        voxels = max(1, round(one.volume_ml / VOXEL_ML))
        reach = int(np.ceil(2.6 * (voxels * 3 / (4 * np.pi)) ** (1 / 3))) + MARGIN
        box = tuple(slice(max(0, c - reach), min(n, c + reach + 1)) for c, n in zip(found, tissue.shape, strict=True))
        axes = np.linalg.qr(rng.standard_normal((3, 3)))[0] * np.exp(rng.normal(0, 0.3, 3))[None]
        z, y, x = (np.arange(s.start, s.stop, dtype=np.float32) - c for s, c in zip(box, found, strict=True))
        distance = np.sqrt(
            sum(
                (z[:, None, None] * axes[0, k] + y[None, :, None] * axes[1, k] + x[None, None, :] * axes[2, k]) ** 2
                for k in range(3)
            )
        )
        distance = distance * np.exp(0.22 * smooth_noise(distance.shape, max(4.0, reach / 2), rng))
        allowed = np.isin(tissue[box], np.array(_SITES[one.kind], np.uint8)) & ~avoid[box]
        allowed &= left[box] == left[found]
        inside = distance[allowed]
        limit = np.partition(inside, min(voxels, inside.size) - 1)[min(voxels, inside.size) - 1]
        return box, allowed & (distance <= limit)

    def _begin(self, one: Infarct, avoid: Mask, rng: np.random.Generator) -> tuple[int, int, int] | None:
        """A voxel of the site that is free and on the side asked for."""
        tissue, left = self._space.anatomy.tissue, self._space.anatomy.left
        if one.kind not in self._places:
            self._places[one.kind] = np.flatnonzero(np.isin(tissue, np.array(_SITES[one.kind], np.uint8)))
        places = self._places[one.kind]
        for _ in range(200 if len(places) else 0):
            z, y, x = (int(v) for v in np.unravel_index(places[rng.integers(len(places))], tissue.shape))
            if not avoid[z, y, x] and (one.left is None or bool(left[z, y, x]) == one.left):
                return z, y, x
        return None


def _soft(mask: Mask, sigma: float = 0.5) -> Field:
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), sigma, truncate=3), np.float32)


def _spare(where: Mask, share: float, rng: np.random.Generator) -> Mask:
    """The mask with islands of about a centimetre taken out."""
    if not share or not where.any():
        return where
    noise = smooth_noise(where.shape, 7, rng)
    return np.asarray(where & (noise > np.quantile(noise[where], share)))


def _near(mask: Mask, reach_mm: float) -> Mask:
    if not mask.any():
        return mask
    near: NDArray[np.bool_] = ndimage.binary_dilation(mask, iterations=max(1, round(reach_mm / VOXEL_MM)))
    return near


def _box_of(mask: Mask) -> Box | None:
    """The mask's box with a margin; None where it is empty."""
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    if not boxes:
        return None
    return tuple(slice(max(0, s.start - MARGIN), s.stop + MARGIN) for s in boxes[0])


def _mirrored(where: Mask, space: Space) -> Mask:
    """The other side's places, by the plane across which the halves meet in each row."""
    places = np.argwhere(where)
    middle = (~space.anatomy.left).sum(axis=2)
    x = 2 * middle[places[:, 0], places[:, 1]] - 1 - places[:, 2]
    there = np.zeros_like(where)
    there[places[:, 0], places[:, 1], np.clip(x, 0, where.shape[2] - 1)] = True
    return there


def _add_plexus(maps: Maps, space: Space, rng: np.random.Generator) -> Maps:
    """Choroid plexus, cystic with age: bright on DWI, its ADC between that of tissue and that of CSF."""
    ventricles = space.anatomy.mask(Tissue.LATERAL)
    places = np.argwhere(ventricles)
    if not len(places):
        return maps
    # The trigones lie behind and below the bodies.
    behind = places[np.argsort(places[:, 1])[len(places) // 2 :]]
    t2, adc = maps.t2_ms.copy(), maps.adc.copy()
    share, water = rng.uniform(0.12, 0.3), rng.uniform(1300, 2000)
    for _ in range(2):
        centre, radius = behind[rng.integers(len(behind))], rng.uniform(2, 5)
        near = places[((places - centre) ** 2).sum(axis=1) < radius**2]
        index = tuple(near.T)
        t2[index] *= share
        adc[index] = water
    return Maps(maps.density, maps.t1_ms, t2, adc)
