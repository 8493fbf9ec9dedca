"""A head as a map of tissues, before any scanner has seen it."""

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


class Tissue(IntEnum):
    """What a voxel of an `Anatomy` is made of."""

    AIR = 0
    SKIN = 1
    SOFT = 2
    FAT = 3
    BONE = 4
    DIPLOE = 5
    CSF = 6
    GREY = 7
    WHITE = 8
    DEEP_GREY = 9
    CEREBELLUM = 10
    BRAIN_STEM = 11
    LATERAL_VENTRICLE = 12
    MEDIAL_VENTRICLE = 13
    VENOUS_SINUS = 14
    ARTERY = 15
    EYE = 16
    MUCOSA = 17
    DURA = 18
    CALCIFICATION = 19


BRAIN = (Tissue.GREY, Tissue.WHITE, Tissue.DEEP_GREY, Tissue.CEREBELLUM, Tissue.BRAIN_STEM)
VENTRICLES = (Tissue.LATERAL_VENTRICLE, Tissue.MEDIAL_VENTRICLE)
INTRACRANIAL = (*BRAIN, *VENTRICLES, Tissue.CSF, Tissue.VENOUS_SINUS, Tissue.DURA, Tissue.CALCIFICATION)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One head.

    Attributes:
        tissue: uint8 `Tissue` codes, axes (z, y, x) rising towards superior, posterior and left (LPS).
        spacing_mm: edge of the cubic voxels.
        cavity: bool, same grid: inside the skull.
        midline_mm: float32, same grid: distance from the midsagittal plane, positive to the patient's left.
    """

    tissue: NDArray[np.uint8]
    spacing_mm: float
    cavity: NDArray[np.bool_]
    midline_mm: NDArray[np.float32]

    @cached_property
    def depth_mm(self) -> NDArray[np.float32]:
        """Distance from the inner table of the skull, float32, 0 outside the cavity."""
        depth: NDArray[np.float32] = ndimage.distance_transform_edt(self.cavity).astype(np.float32) * self.spacing_mm
        return depth

    @cached_property
    def centre(self) -> NDArray[np.float64]:
        """Centre of the cavity's bounding box in voxel indices (z, y, x)."""
        where = [np.flatnonzero(self.cavity.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        return np.array([(found[0] + found[-1]) / 2 for found in where])

    def is_any(self, *tissues: Tissue) -> NDArray[np.bool_]:
        """Bool mask of the voxels made of any of these tissues."""
        table = np.zeros(256, bool)
        table[list(tissues)] = True
        mask: NDArray[np.bool_] = table[self.tissue]
        return mask

    def with_tissue(self, tissue: NDArray[np.uint8]) -> "Anatomy":
        """The same skull around other contents; the distances are kept."""
        changed = replace(self, tissue=tissue)
        for name in ("depth_mm", "centre"):
            if name in self.__dict__:
                changed.__dict__[name] = self.__dict__[name]
        return changed


def smooth_noise(
    shape: tuple[int, int, int], scale_voxels: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Smooth random field, zero mean and unit standard deviation, drawn coarsely and interpolated."""
    step = max(1.0, scale_voxels / 2)
    coarse_shape = [int(np.ceil(size / step)) + 3 for size in shape]
    coarse = ndimage.gaussian_filter(random.standard_normal(coarse_shape).astype(np.float32), scale_voxels / step)
    if step > 1:
        zoomed = ndimage.zoom(coarse, step, order=1, grid_mode=True, mode="nearest")
    else:
        zoomed = coarse
    field = zoomed[tuple(slice(0, size) for size in shape)]
    normal: NDArray[np.float32] = (field - field.mean()) / (field.std() + 1e-6)
    return normal
