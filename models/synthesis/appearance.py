"""From anatomy and bleeds to Hounsfield units, with what else looks bright in a head CT."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.synthesis.bleeding import SUBTYPES, Space
from models.synthesis.noise import smooth_noise
from models.synthesis.tissue import DENSITY_HU, VOXEL_MM, Tissue

# Density of blood by subtype: mean and spread between bleeds, HU. CSF dilutes SAH; an older SDH fades to grey matter.
BLOOD_HU: dict[str, tuple[float, float]] = {
    "IPH": (65, 7),
    "IVH": (60, 8),
    "SDH": (60, 9),
    "EDH": (65, 7),
    "SAH": (58, 8),
}
FADED_SDH_HU = (42, 5)


def paint(
    space: Space, labels: NDArray[np.uint8], rng: np.random.Generator, *, faded_share: float = 0.15
) -> NDArray[np.float32]:
    """Hounsfield units on the anatomy's grid (z, y, x), before the scanner blurs and adds noise.

    Args:
        labels: bleeds as `bleeding.grow` gives them.
        faded_share: share of SDH that are isodense.
    """
    tissue = _with_calcifications(space, rng)
    table = np.zeros(256, np.float32)
    for kind, (mean, spread) in DENSITY_HU.items():
        table[kind] = mean + rng.normal(0, spread)
    # Grey and white matter keep their order and distance in every head.
    table[Tissue.WHITE] = table[Tissue.GREY] - rng.uniform(5, 9)
    table[Tissue.CALCIFICATION] = max(table[Tissue.CALCIFICATION], 75)
    hu = table[tissue]
    shape = hu.shape
    soft = smooth_noise(shape, 20, rng) * 1.2
    hu[space.intracranial] += soft[space.intracranial]
    bone = (tissue == Tissue.BONE) | (tissue == Tissue.DIPLOE)
    hu[bone] += (smooth_noise(shape, 5, rng) * 120)[bone]
    if rng.random() < 0.2:
        _old_infarct(hu, space, rng)
    for value, label in enumerate(SUBTYPES, start=1):
        mask = labels == value
        if not mask.any():
            continue
        mean, spread = FADED_SDH_HU if label == "SDH" and rng.random() < faded_share else BLOOD_HU[label]
        blood = rng.normal(mean, spread) + smooth_noise(shape, 6, rng)[mask] * rng.uniform(1, 5)
        hu[mask] = blood
        if label == "IPH":
            _oedema(hu, mask, space, rng)
    return _harden(hu, bone, space, rng)


def _with_calcifications(space: Space, rng: np.random.Generator) -> NDArray[np.uint8]:
    tissue = space.anatomy.tissue.copy()
    ventricle = tissue == Tissue.VENTRICLE
    _, y, _ = np.nonzero(ventricle)
    if y.size and rng.random() < 0.75:  # choroid plexus, behind
        _speckle(tissue, ventricle & (np.arange(tissue.shape[1]) > np.quantile(y, 0.75))[None, :, None], rng, 3.5)
    if rng.random() < 0.6:  # pineal
        middle = np.array([tissue.shape[0] * 0.5, tissue.shape[1] * 0.58, tissue.shape[2] / 2])
        z, y3, x = np.ogrid[tuple(slice(0, n) for n in tissue.shape)]
        near = ((z - middle[0]) / 9) ** 2 + ((y3 - middle[1]) / 7) ** 2 + ((x - middle[2]) / 2.5) ** 2 < 1
        _speckle(tissue, near & space.intracranial, rng, 2.2)
    if rng.random() < 0.4:
        _speckle(tissue, tissue == Tissue.DURA, rng, 4)
    if rng.random() < 0.25:
        _speckle(tissue, tissue == Tissue.DEEP_GREY, rng, 2.5)
    return tissue


def _speckle(tissue: NDArray[np.uint8], where: NDArray[np.bool_], rng: np.random.Generator, radius_mm: float) -> None:
    places = np.flatnonzero(where)
    if places.size == 0:
        return
    reach = int(np.ceil(radius_mm / VOXEL_MM)) + 1
    for _ in range(rng.integers(1, 5)):
        z, y, x = np.unravel_index(places[rng.integers(places.size)], tissue.shape)
        box = tuple(slice(max(0, int(c) - reach), int(c) + reach + 1) for c in (z, y, x))
        grid = np.ogrid[box]
        distance = sum((g - c) ** 2 for g, c in zip(grid, (z, y, x), strict=True))
        spot = (np.sqrt(distance) * VOXEL_MM < radius_mm * rng.uniform(0.4, 1)) & where[box]
        tissue[box][spot] = Tissue.CALCIFICATION


def _old_infarct(hu: NDArray[np.float32], space: Space, rng: np.random.Generator) -> None:
    places = np.flatnonzero(space.brain)
    centre = np.unravel_index(places[rng.integers(places.size)], hu.shape)
    grid = np.ogrid[tuple(slice(0, n) for n in hu.shape)]
    distance = np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))) * VOXEL_MM
    inside = (distance + smooth_noise(hu.shape, 10, rng) * 4 < rng.uniform(6, 24)) & space.brain
    hu[inside] = hu[inside] * 0.35 + rng.uniform(5, 14)


def _oedema(hu: NDArray[np.float32], mask: NDArray[np.bool_], space: Space, rng: np.random.Generator) -> None:
    reach = int(rng.integers(1, 6))
    ring = ndimage.binary_dilation(mask, iterations=reach) & ~mask & space.anatomy.mask(Tissue.WHITE, Tissue.DEEP_GREY)
    hu[ring] -= rng.uniform(2, 10)


def _harden(
    hu: NDArray[np.float32], bone: NDArray[np.bool_], space: Space, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Cupping under the skull and dark and bright bands between dense bones (beam hardening)."""
    share = ndimage.uniform_filter(bone.astype(np.float32), (3, 25, 45))
    bands = smooth_noise(hu.shape, 8, rng)
    rim = np.exp(-space.depth_mm / 6)
    effect = share * bands * rng.uniform(5, 35) + rim * rng.uniform(-1, 7)
    hu[space.intracranial] += effect[space.intracranial]
    return hu
