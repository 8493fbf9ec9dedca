"""Images of a release as NIfTI: the same voxels and grid give the same bytes."""

import gzip
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from services.datasets.release.case import CaseImage
from services.review.masks import Grid

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def image_nifti(image: CaseImage) -> bytes:
    """Voxels in the modality's units on exactly the grid that the mask has."""
    return nifti_bytes(whole(image.volume.voxels), image.grid)


def whole(voxels: NDArray[Any]) -> NDArray[Any]:
    """The voxels as int16 where they are whole numbers, else as they are."""
    rounded: NDArray[Any] = np.rint(voxels)
    if np.array_equal(rounded, voxels) and np.abs(rounded).max() < 2**15:
        shortened: NDArray[np.int16] = rounded.astype(np.int16)
        return shortened
    return voxels


def nifti_bytes(voxels: NDArray[Any], grid: Grid) -> bytes:
    """.nii.gz of voxels (slice, row, column), or of several images on one grid (channel, slice, row, column)."""
    data = voxels.transpose(2, 1, 0) if voxels.ndim == 3 else voxels.transpose(3, 2, 1, 0)
    made = nib.nifti1.Nifti1Image(np.ascontiguousarray(data), None)
    made.set_sform(_RAS_TO_LPS @ grid.affine, 1)
    made.set_qform(_RAS_TO_LPS @ grid.upright_affine, 1)
    made.header.set_xyzt_units("mm")
    return gzip.compress(made.to_bytes(), compresslevel=5, mtime=0)
