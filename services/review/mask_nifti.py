"""Masks in NIfTI, as 3D Slicer and ITK-SNAP write and read them: RAS, any order and sign of axes, whole numbers."""

import gzip
import zlib
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from models.nifti import GZIP, SMALLEST_MM3
from services.review.incoming import Incoming, OtherGrid, resample
from services.review.masks import SAME_VOXELS, Grid, InvalidMask, Mask

LARGEST_BYTES = 2**30
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SCANNER = 1
_TURNED_DEG = 0.1
_LARGEST_NUMBER = 2**16 - 1
_NIFTI_2 = (540).to_bytes(4, "little")


def write_nifti(mask: Mask) -> bytes:
    """A mask as .nii.gz on the images' grid, axes (column, row, slice).

    The sform is the images' own. A gantry's tilt is a shear, which ITK's readers refuse; for them the qform places the
    same voxels with the slices stacked upright, and `read_nifti_mask` knows that mask when it comes back. Between
    unevenly spaced slices both have the mean step.
    """
    image = nib.nifti1.Nifti1Image(np.ascontiguousarray(mask.labels.transpose(2, 1, 0)), None)
    image.set_sform(_RAS_TO_LPS @ mask.grid.affine, _SCANNER)
    image.set_qform(_RAS_TO_LPS @ mask.grid.upright_affine, _SCANNER)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), compresslevel=5, mtime=0)


def read_nifti_mask(data: bytes, grid: Grid, *, resampled: bool = False, empty: bool = False) -> Incoming:
    """What a NIfTI marks, on the images' grid.

    Args:
        data: .nii or .nii.gz.
        resampled: take one on another grid too, each voxel the nearest of the file's.
        empty: take one that marks nothing too.

    Raises:
        OtherGrid: it lies on another grid and `resampled` is false.
        InvalidMask: it cannot be taken; the message says what and where.
    """
    image = _open(data)
    numbers = _whole_numbers(image)
    affine = _RAS_TO_LPS @ _affine(image)
    notes = ["A NIfTI names no patient and no study: only its grid was compared with the images'."]
    fits = ((way, _same_voxels(affine, numbers.shape, theirs, grid)) for way, theirs in _placings(grid))
    found = next(((way, index) for way, index in fits if index), None)
    if found is not None:
        way, (axes, flips) = found
        turned = np.flip(numbers.transpose(axes), tuple(axis for axis in range(3) if flips[axis]))
        segments = np.ascontiguousarray(turned.transpose(2, 1, 0))
        if way:
            notes.append(way)
    elif resampled:
        segments = resample(numbers, affine, grid)
        notes.append("Resampled: each voxel has the number of the nearest one in the file.")
    else:
        raise OtherGrid(_unlike(affine, numbers.shape, grid))
    if not (empty or segments.any()):
        raise InvalidMask("The mask marks nothing on these images: every voxel is 0.")
    return Incoming(segments=segments, names={}, grid=grid, notes=tuple(notes), resampled=found is None)


def _open(data: bytes) -> nib.nifti1.Nifti1Image:
    try:
        content = gzip.decompress(data) if data[:2] == GZIP else data
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidMask("The mask ends early or is damaged: it cannot be decompressed. Send it again.") from error
    if len(content) > LARGEST_BYTES:
        raise InvalidMask(f"The mask has {len(content) / 2**20:.0f} MiB, more than is read here.")
    kind = nib.nifti2.Nifti2Image if content[:4] == _NIFTI_2 else nib.nifti1.Nifti1Image
    try:
        return kind.from_bytes(content)
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError) as error:
        raise InvalidMask("This is no NIfTI file: its header cannot be read.") from error


def _whole_numbers(image: nib.nifti1.Nifti1Image) -> NDArray[np.uint16]:
    """The voxels, axes as in the file."""
    shape = image.shape
    if len(shape) < 3 or any(size != 1 for size in shape[3:]):
        raise InvalidMask(f"The mask has {len(shape)} dimensions ({' x '.join(map(str, shape))}); one mask has three.")
    try:
        voxels = np.asanyarray(image.dataobj).reshape(shape[:3])
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise InvalidMask(
            f"The mask ends early: the voxels of {' x '.join(map(str, shape[:3]))} are not all there. Send it again."
        ) from error
    if voxels.dtype.kind not in "iub":
        raise InvalidMask(
            f"The mask holds {voxels.dtype} values; labels are whole numbers. Save it as a label map, not as an image "
            "or a probability."
        )
    outside = (voxels < 0) | (voxels > _LARGEST_NUMBER) if voxels.dtype.itemsize > 1 else voxels < 0
    if outside.any():
        where = tuple(int(index) for index in np.argwhere(outside)[0])
        raise InvalidMask(f"The mask holds the number {voxels[where]} at voxel {where}; labels are 0 to 65535.")
    return voxels.astype(np.uint16)


def _affine(image: nib.nifti1.Nifti1Image) -> NDArray[np.float64]:
    header = image.header
    if not (header["sform_code"] or header["qform_code"]):
        raise InvalidMask("The mask does not say where its voxels lie: sform and qform codes are 0.")
    affine: NDArray[np.float64] = np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < SMALLEST_MM3:
        raise InvalidMask("The mask has an affine that places its voxels nowhere.")
    return affine


def _placings(grid: Grid) -> list[tuple[str, NDArray[np.float64]]]:
    """The affines under which a file's voxels are the images' voxels, each with what to say of it."""
    uneven = (
        ""
        if grid.unevenness_mm <= SAME_VOXELS * float(grid.volume.slab_mm.min())
        else "The slices are unevenly spaced, which a NIfTI cannot say: taken slice by slice."
    )
    return [
        (uneven, grid.affine),
        ("The file stacks the slices upright, without the gantry's tilt: taken slice by slice.", grid.upright_affine),
    ]


def _same_voxels(
    affine: NDArray[np.float64], shape: tuple[int, ...], theirs: NDArray[np.float64], grid: Grid
) -> tuple[tuple[int, ...], tuple[bool, ...]] | None:
    """How a file's axes become (column, row, slice): their order, and which run the other way; None on another grid."""
    size = np.array(grid.shape[::-1])
    steps = np.linalg.inv(theirs) @ affine
    axes = tuple(int(axis) for axis in np.abs(steps[:3, :3]).argmax(axis=1))
    if sorted(axes) != [0, 1, 2] or tuple(shape[axis] for axis in axes) != tuple(size):
        return None
    flips = tuple(bool(steps[axis, axes[axis]] < 0) for axis in range(3))
    wanted = np.zeros((3, 4))
    for axis in range(3):
        wanted[axis, axes[axis]] = -1 if flips[axis] else 1
        wanted[axis, 3] = size[axis] - 1 if flips[axis] else 0
    corners = np.array(np.meshgrid(*[(0, extent - 1) for extent in shape], [1])).reshape(4, -1)
    apart = np.abs((steps[:3] - wanted) @ corners).max()
    return (axes, flips) if apart <= SAME_VOXELS else None


def _unlike(affine: NDArray[np.float64], shape: tuple[int, ...], grid: Grid) -> str:
    """The first thing in which a file's grid differs from the images', in a sentence."""
    theirs = grid.affine
    steps = np.linalg.inv(theirs) @ affine
    axes = [int(axis) for axis in np.abs(steps[:3, :3] / np.linalg.norm(steps[:3, :3], axis=0)).argmax(axis=1)]
    sizes = tuple(shape[axis] for axis in axes) if sorted(axes) == [0, 1, 2] else tuple(shape)
    if sizes != grid.shape[::-1]:
        return f"The mask has {_times(sizes)} voxels, the images {_times(grid.shape[::-1])}."
    ours, files = np.linalg.norm(theirs[:3, :3], axis=0), np.linalg.norm(affine[:3, :3], axis=0)[axes]
    if (np.abs(files / ours - 1) * sizes > SAME_VOXELS).any():
        return f"The mask's voxels are {_times(files)} mm, the images' {_times(ours)} mm."
    units = affine[:3, :3][:, axes] / files
    angle = float(np.degrees(np.arccos(np.clip(np.abs((units * theirs[:3, :3] / ours).sum(axis=0)).min(), 0, 1))))
    if angle > _TURNED_DEG:
        return f"The mask is turned by {angle:.1f} degrees against the images."
    middle = np.array([*(np.array(shape) - 1) / 2, 1.0])
    own_middle = np.array([*(np.array(grid.shape[::-1]) - 1) / 2, 1.0])
    shift = (affine @ middle - theirs @ own_middle)[:3]
    return f"The mask lies {np.linalg.norm(shift):.1f} mm away from the images ({_times(shift, ', ')} mm, LPS)."


def _times(values: Any, between: str = " x ") -> str:
    return between.join(f"{value:.4g}" for value in values)
