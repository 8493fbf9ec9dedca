"""Anatomy from whole-head label maps: FreeSurfer numbers, 500 and above outside the brain, as SynthSeg has."""

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray
from scipy import ndimage

from models.errors import InvalidVolume
from models.synthesis.anatomy import SHAPE
from models.synthesis.tissue import BRAIN, VOXEL_MM, Anatomy, Tissue

_TISSUES: dict[Tissue, tuple[int, ...]] = {
    Tissue.WHITE: (2, 41, 25, 57),
    Tissue.GREY: (3, 42, 30, 62),
    Tissue.VENTRICLE: (4, 5, 14, 15, 43, 44, 72),
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
    resampled = ndimage.affine_transform(np.ascontiguousarray(tissue), scale, shift, SHAPE, order=0, cval=Tissue.AIR)
    _add_falx(resampled)
    return Anatomy(resampled)


def _add_falx(tissue: NDArray[np.uint8]) -> None:
    """The maps know no dura: a thin sheet where CSF fills the fissure between the hemispheres."""
    middle = (tissue.shape[2] - 1) / 2
    near = np.abs(np.arange(tissue.shape[2]) - middle) * VOXEL_MM < 4
    csf = tissue == Tissue.CSF
    high = np.arange(tissue.shape[0]) > tissue.shape[0] * 0.55
    sheet = csf & near[None, None, :] & high[:, None, None]
    # One voxel a row: the one nearest to the middle.
    order = np.where(sheet, np.abs(np.arange(tissue.shape[2]) - middle)[None, None, :], np.inf)
    best = order.argmin(axis=2)
    z, y = np.nonzero(sheet.any(axis=2))
    tissue[z, y, best[z, y]] = Tissue.DURA
