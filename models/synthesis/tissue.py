"""Tissues of a synthetic head and how dense they are."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

VOXEL_MM = 1.2
"""Edge of the cubic voxels that anatomy is described on."""


class Tissue(IntEnum):
    """What a voxel of a synthetic head is made of."""

    AIR = 0
    FAT = 1
    SOFT = 2
    BONE = 3
    DIPLOE = 4
    CSF = 5
    VENTRICLE = 6
    GREY = 7
    WHITE = 8
    DEEP_GREY = 9
    CEREBELLUM = 10
    BRAIN_STEM = 11
    DURA = 12
    VENOUS = 13
    EYE = 14
    CALCIFICATION = 15
    LATERAL = 16


BRAIN = (Tissue.GREY, Tissue.WHITE, Tissue.DEEP_GREY, Tissue.CEREBELLUM, Tissue.BRAIN_STEM)
VENTRICLES = (Tissue.VENTRICLE, Tissue.LATERAL)
"""The third and fourth, and the lateral ones."""
INTRACRANIAL = (*BRAIN, *VENTRICLES, Tissue.CSF, Tissue.DURA, Tissue.VENOUS, Tissue.CALCIFICATION)

# Mean density and how far heads differ from one another, HU; usual values of unenhanced head CT at 120 kV.
DENSITY_HU: dict[Tissue, tuple[float, float]] = {
    Tissue.AIR: (-1000, 0),
    Tissue.FAT: (-90, 15),
    Tissue.SOFT: (48, 8),
    Tissue.BONE: (1150, 200),
    Tissue.DIPLOE: (550, 150),
    Tissue.CSF: (9, 3),
    Tissue.VENTRICLE: (6, 3),
    Tissue.GREY: (37, 2.5),
    Tissue.WHITE: (29, 2.5),
    Tissue.DEEP_GREY: (37, 2.5),
    Tissue.CEREBELLUM: (36, 2.5),
    Tissue.BRAIN_STEM: (31, 2.5),
    Tissue.DURA: (52, 8),
    Tissue.VENOUS: (54, 8),
    Tissue.EYE: (14, 4),
    Tissue.CALCIFICATION: (180, 90),
    Tissue.LATERAL: (6, 3),
}


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A head before anybody bled in it.

    Attributes:
        tissue: uint8 of `Tissue`, axes (z inferior to superior, y anterior to posterior, x right to
            left), VOXEL_MM cubes.
        left: the patient's left half, up to the midline; same grid.
    """

    tissue: NDArray[np.uint8]
    left: NDArray[np.bool_]

    def mask(self, *tissues: Tissue) -> NDArray[np.bool_]:
        """Where any of the tissues is."""
        return np.isin(self.tissue, np.array(tissues, np.uint8))
