"""Old infarcts, which are not tumours: cavities of CSF with gliosis around them, and nothing is pushed aside."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from models.ais.train.lesions import Infarct, Kind, Sites
from models.ais.train.tissue import Maps
from models.synthesis.noise import smooth_noise
from models.synthesis.space import Mask, Space
from models.synthesis.tissue import VENTRICLES, VOXEL_MM, Tissue
from models.tumour.train.tissue import softened

KINDS: tuple[tuple[Kind, float, float, float], ...] = (
    ("territory", 0.35, 2, 70),
    ("cortical", 0.25, 0.5, 20),
    ("deep", 0.25, 0.1, 8),
    ("posterior", 0.15, 0.3, 20),
)
"""Where they lie, how often, and the range of their volumes in mL."""

SCARRED_SHARE, MOST = 0.35, 3
"""Of the heads, those with old infarcts, and how many at most."""

CAVITY = (1.0, 3800.0, 800.0)
"""Its proton density, T1 and T2 in ms: those of CSF."""


def draw_scars(rng: np.random.Generator) -> int:
    """How many old infarcts a head has."""
    return int(rng.integers(1, MOST + 1)) if rng.random() < SCARRED_SHARE else 0


def add_scars(maps: Maps, space: Space, avoid: Mask, rng: np.random.Generator, *, count: int) -> Maps:
    """The tissue with old infarcts in it, clear of `avoid`."""
    density, t1, t2 = maps.density.copy(), maps.t1_ms.copy(), maps.t2_ms.copy()
    sites, taken = Sites(space), avoid.copy()
    water = space.anatomy.mask(Tissue.CSF, *VENTRICLES)
    for _ in range(count):
        kind, _, low, high = KINDS[rng.choice(len(KINDS), p=[share for _, share, _, _ in KINDS])]
        volume_ml = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        box, where = sites.grow(Infarct(kind, volume_ml), taken, rng)
        if not where.any():
            continue
        taken[box] |= where
        # What is lost is lost towards the surface and the ventricles; gliosis is what remains of the rest.
        depth = ndimage.distance_transform_edt(where | water[box]) * VOXEL_MM
        depth = depth + rng.uniform(0.5, 3) * smooth_noise(where.shape, 8, rng)
        hollow = rng.uniform(0, 0.95) if rng.random() < 0.75 else 0.0
        cavity = where & (depth > np.quantile(depth[where], 1 - hollow))
        gliosis = softened(where, float(rng.choice([0.5, 1.0, 1.8]))) * space.brain[box]
        uneven = (1 + 0.25 * smooth_noise(where.shape, 7, rng)).clip(0.3, 1.6)
        for field, least, most in ((density, 0.02, 0.12), (t1, 0.1, 0.7), (t2, 0.3, 1.7)):
            field[box] *= 1 + gliosis * uneven * np.float32(rng.uniform(least, most))
        lost = softened(cavity, 0.5)
        for field, value in zip((density, t1, t2), CAVITY, strict=True):
            field[box] += lost * (np.float32(value * rng.uniform(0.9, 1.0)) - field[box])
    return replace(maps, density=density, t1_ms=t1, t2_ms=t2)
