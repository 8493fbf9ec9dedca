"""Tissues and bleeds as Hounsfield units."""

import numpy as np
from numpy.typing import NDArray

from models.synthesis.anatomy import Tissue, smooth_noise
from models.synthesis.bleeds import Grown

# Range each head draws its own value from, in HU.
RANGE_HU: dict[Tissue, tuple[float, float]] = {
    Tissue.AIR: (-1000, -1000),
    Tissue.SKIN: (10, 50),
    Tissue.SOFT: (40, 62),
    Tissue.FAT: (-110, -70),
    Tissue.BONE: (900, 1500),
    Tissue.DIPLOE: (350, 750),
    Tissue.CSF: (2, 13),
    Tissue.DEEP_GREY: (0, 3),  # above grey matter
    Tissue.VENOUS_SINUS: (44, 66),
    Tissue.ARTERY: (38, 58),
    Tissue.EYE: (4, 16),
    Tissue.MUCOSA: (10, 45),
    Tissue.DURA: (34, 72),
    Tissue.CALCIFICATION: (70, 350),
}


def paint(grown: Grown, random: np.random.Generator) -> NDArray[np.float32]:
    """HU of a head with its bleeds, float32 on the anatomy's grid, axes (z, y, x)."""
    tissue = grown.anatomy.tissue
    shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    table = np.zeros(256, np.float32)
    for kind, (low, high) in RANGE_HU.items():
        table[kind] = random.uniform(low, high)
    grey = random.uniform(33, 41)
    white = grey - random.uniform(4, 10)
    table[Tissue.GREY], table[Tissue.WHITE] = grey, white
    table[Tissue.DEEP_GREY] += grey
    table[Tissue.CEREBELLUM] = (grey + white) / 2 + random.uniform(-2, 3)
    table[Tissue.BRAIN_STEM] = (grey + white) / 2 + random.uniform(-3, 2)
    table[Tissue.LATERAL_VENTRICLE] = table[Tissue.MEDIAL_VENTRICLE] = table[Tissue.CSF]
    hu: NDArray[np.float32] = table[tissue]

    spacing = grown.anatomy.spacing_mm
    soft = (tissue != Tissue.AIR) & (tissue != Tissue.BONE)
    mottle = smooth_noise(shape, 2.0 / spacing, random) * random.uniform(0.5, 2.0)
    mottle += smooth_noise(shape, 12 / spacing, random) * random.uniform(0.3, 1.8)
    hu += np.where(soft, mottle, mottle * 12 * (tissue == Tissue.DIPLOE)).astype(np.float32)
    brain = (tissue == Tissue.WHITE) | (tissue == Tissue.GREY)
    # Small vessel disease and old infarcts: dark, and no bleed.
    if random.random() < 0.35:
        patches = np.clip(smooth_noise(shape, 9 / spacing, random) - random.uniform(1.2, 2.2), 0, 1)
        hu -= (patches * random.uniform(5, 20) * brain).astype(np.float32)
    hu -= np.where(brain, grown.oedema * random.uniform(6, 14), 0).astype(np.float32)

    blood = grown.labels > 0
    hu[blood] = grown.blood_hu[blood] + mottle[blood] * 0.6
    # Cupping that the scanner's correction left over: brighter towards the skull.
    hu += np.where(grown.anatomy.cavity, random.uniform(0, 9) * np.exp(-grown.anatomy.depth_mm / 7), 0).astype(
        np.float32
    )
    return hu
