"""Anatomy from whole-head label maps: FreeSurfer numbers, 500 and above outside the brain, as SynthSeg has."""

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray
from scipy import ndimage

from models.errors import InvalidVolume
from models.synthesis.anatomy import SHAPE
from models.synthesis.tissue import BRAIN, INTRACRANIAL, VOXEL_MM, Anatomy, Tissue

_TISSUES: dict[Tissue, tuple[int, ...]] = {
    Tissue.WHITE: (2, 41, 25, 57),
    Tissue.GREY: (3, 42, 30, 62),
    Tissue.LATERAL: (4, 5, 43, 44),
    Tissue.VENTRICLE: (14, 15, 72),
    Tissue.CEREBELLUM: (7, 8, 46, 47),
    Tissue.DEEP_GREY: (10, 11, 12, 13, 17, 18, 26, 49, 50, 51, 52, 53, 54, 58, 136, 137, 163, 164),
    Tissue.BRAIN_STEM: (16, 28, 60, 85, 512),
    Tissue.CSF: (24,),
    Tissue.EYE: (506,),
    Tissue.FAT: (511,),
    Tissue.VENOUS: (514,),
    Tissue.BONE: (515,),
    Tissue.DIPLOE: (516,),
    Tissue.SOFT: (502, 507, 508, 509, 530),
}
_TABLE = np.full(1024, Tissue.SOFT, np.uint8)
_TABLE[0] = Tissue.AIR
for _tissue, _numbers in _TISSUES.items():
    _TABLE[list(_numbers)] = _tissue


def read_labelmap(path: Path) -> Anatomy:
    """A label map as anatomy on the common grid, the brain in its middle.

    Raises:
        InvalidVolume: the file is no three-dimensional label map of a head.
    """
    try:
        image = nib.as_closest_canonical(nib.nifti1.load(path))
        numbers = np.asarray(image.dataobj).astype(np.int32)
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise InvalidVolume(f"{path.name} cannot be read as NIfTI.") from error
    if numbers.ndim != 3 or numbers.min() < 0 or numbers.max() >= _TABLE.size:
        raise InvalidVolume(f"{path.name} is not a three-dimensional map of labels below {_TABLE.size}.")
    # RAS to z superior, y posterior, x left.
    tissue = _TABLE[numbers].transpose(2, 1, 0)[:, ::-1, ::-1]
    zooms = np.array(image.header.get_zooms()[:3])[::-1]
    brain = np.argwhere(np.isin(tissue, np.array(BRAIN, np.uint8)))
    if not brain.size:
        raise InvalidVolume(f"{path.name} has no label of the brain.")
    low, high = brain.min(axis=0), brain.max(axis=0)
    middle = (low + high) / 2
    scale = VOXEL_MM / zooms
    # The brain's top lies 20 mm under the upper edge of the grid; what is left below is skull base and neck.
    anchor = (np.array(SHAPE) - 1) / 2
    top = SHAPE[0] - 1 - 20 / VOXEL_MM
    shift = middle - scale * anchor
    shift[0] = high[0] - scale[0] * top
    resampled = _resample(tissue, scale, shift, Tissue.AIR)
    sides = _resample(_side(numbers).transpose(2, 1, 0)[:, ::-1, ::-1], scale, shift, 0)
    left = _left_half(sides)
    _mend(resampled)
    _add_falx(resampled, left)
    _add_tentorium(resampled)
    return Anatomy(resampled, left)


def _resample(
    values: NDArray[np.uint8], scale: NDArray[np.float64], shift: NDArray[np.float64], outside: int
) -> NDArray[np.uint8]:
    values = np.ascontiguousarray(values)
    return np.asarray(ndimage.affine_transform(values, scale, shift, SHAPE, order=0, cval=outside), np.uint8)


def _mend(tissue: NDArray[np.uint8]) -> None:
    """Make one smooth cavity: the maps hold specks of bone and air among the CSF, and a ragged inner table."""
    intracranial = np.isin(tissue, np.array(INTRACRANIAL, np.uint8))
    smooth = ndimage.gaussian_filter(intracranial.astype(np.float32), 1.2) > 0.5
    parts, count = ndimage.label(smooth)
    if count > 1:
        smooth = parts == np.bincount(parts[parts > 0]).argmax()
    smooth = ndimage.binary_fill_holes(smooth)
    tissue[smooth & ~intracranial] = Tissue.CSF
    tissue[intracranial & ~smooth] = Tissue.BONE


_LEFT = (2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 17, 18, 26)
_RIGHT = (41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 58)


def _side(numbers: NDArray[np.int32]) -> NDArray[np.uint8]:
    """1 in the left hemisphere, 2 in the right one, 0 elsewhere."""
    table = np.zeros(_TABLE.size, np.uint8)
    table[list(_LEFT)], table[list(_RIGHT)] = 1, 2
    return table[numbers]


def _left_half(sides: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The half of the grid on the left of the plane midway between the hemispheres."""
    left, right = (np.argwhere(sides == side) for side in (1, 2))
    if not len(left) or not len(right):
        return np.broadcast_to(np.arange(SHAPE[2]) > (SHAPE[2] - 1) / 2, SHAPE).copy()
    normal = left.mean(axis=0) - right.mean(axis=0)
    middle = (left.mean(axis=0) + right.mean(axis=0)) / 2
    z, y, x = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    half: NDArray[np.bool_] = (
        (z - middle[0]) * normal[0] + (y - middle[1]) * normal[1] + (x - middle[2]) * normal[2]
    ) > 0
    return half


def _add_falx(tissue: NDArray[np.uint8], left: NDArray[np.bool_]) -> None:
    """The maps know no dura: a thin sheet where CSF fills the fissure between the hemispheres."""
    edge = np.zeros_like(left)
    edge[:, :, 1:] = left[:, :, 1:] != left[:, :, :-1]
    edge[: round(tissue.shape[0] * 0.55)] = False
    # The fissure wanders a little: the nearest CSF of each row, at most three voxels from the plane.
    reach = ndimage.binary_dilation(edge, np.ones((1, 1, 7), np.bool_))
    sheet = reach & (tissue == Tissue.CSF)
    z, y = np.nonzero(edge.any(axis=2))
    at = edge.argmax(axis=2)[z, y]
    away = np.where(sheet[z, y], np.abs(np.arange(tissue.shape[2])[None] - at[:, None]), tissue.shape[2])
    best = away.argmin(axis=1)
    found = away.min(axis=1) < tissue.shape[2]
    tissue[z[found], y[found], best[found]] = Tissue.DURA


def _add_tentorium(tissue: NDArray[np.uint8]) -> None:
    """Another sheet, where CSF lies between cerebellum and cerebrum."""
    cerebellum = ndimage.binary_dilation(tissue == Tissue.CEREBELLUM, iterations=2)
    cerebrum = ndimage.binary_dilation((tissue == Tissue.GREY) | (tissue == Tissue.WHITE), iterations=2)
    tissue[cerebellum & cerebrum & (tissue == Tissue.CSF)] = Tissue.DURA
