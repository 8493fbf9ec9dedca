"""NIfTI in and out. A mask always goes back onto the grid its image came on, whatever its axes and signs."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from models.errors import InvalidVolume
from models.volume import Volume

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
SMALLEST_MM3 = 1e-9
GZIP = b"\x1f\x8b"
_AXIAL_AXES = (2, 1, 0)
"""Volume axes (slice, row, column) are the canonical (superior, posterior, left) axes."""


@dataclass(frozen=True, eq=False)
class SourceGrid:
    """The grid of a NIfTI file.

    Attributes:
        affine: voxel index to RAS millimetres, (4, 4).
        orientation: nibabel's orientation array, from the file's axes to left, posterior, superior.
    """

    affine: NDArray[np.float64]
    orientation: NDArray[np.float64]

    def write(self, voxels: NDArray[Any], path: Path, kind: type[np.generic] = np.uint8) -> None:
        """Write a mask, or an image as numbers of another kind, with the file's own axes, signs and affine.

        Args:
            voxels: (slice, row, column).
        """
        to_lps = nib.orientations.axcodes2ornt("LPS")
        back = nib.orientations.ornt_transform(to_lps, self.orientation)
        data = nib.orientations.apply_orientation(voxels.transpose(_AXIAL_AXES), back)
        nib.save(nib.Nifti1Image(np.ascontiguousarray(data, kind), self.affine), path)


def read_nifti(path: Path) -> tuple[Volume, SourceGrid]:
    """A three-dimensional NIfTI as axial slices (or whatever plane lies nearest), and its grid.

    Raises:
        InvalidVolume: it cannot be read, or has not three dimensions.
    """
    try:
        content = path.read_bytes()
        # Decompressed to the end, so that its checksum is verified.
        image = nib.nifti1.Nifti1Image.from_bytes(gzip.decompress(content) if content[:2] == GZIP else content)
        data = np.asanyarray(image.dataobj)
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError, zlib.error) as error:
        raise InvalidVolume(f"{path} cannot be read as NIfTI.") from error
    if data.dtype.kind not in "iuf":
        raise InvalidVolume(f"{path} holds {data.dtype} values; an image holds numbers.")
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        raise InvalidVolume(f"{path} has {data.ndim} dimensions; one volume has three.")
    if not np.isfinite(image.affine).all() or abs(np.linalg.det(image.affine[:3, :3])) < SMALLEST_MM3:
        raise InvalidVolume(f"{path} has an affine that places its voxels nowhere.")
    orientation = nib.io_orientation(image.affine)
    transform = nib.orientations.ornt_transform(orientation, nib.orientations.axcodes2ornt("LPS"))
    affine = image.affine @ nib.orientations.inv_ornt_aff(transform, data.shape)
    voxels = nib.orientations.apply_orientation(data, transform).transpose(_AXIAL_AXES)
    # Columns of the affine: steps along left, posterior, superior, in RAS.
    steps = _RAS_TO_LPS @ affine[:3, :3]
    origin = _RAS_TO_LPS @ affine[:3, 3]
    lengths = np.linalg.norm(steps, axis=0)
    row, column = steps[:, 0] / lengths[0], steps[:, 1] / lengths[1]
    volume = Volume(
        voxels=_finite(voxels, path),
        positions_mm=origin[None] + np.arange(voxels.shape[0])[:, None] * steps[:, 2][None],
        row_direction=(float(row[0]), float(row[1]), float(row[2])),
        column_direction=(float(column[0]), float(column[1]), float(column[2])),
        spacing_mm=(float(lengths[1]), float(lengths[0])),
        thickness_mm=float(lengths[2]),
    )
    return volume, SourceGrid(image.affine, orientation)


def _finite(data: NDArray[Any], path: Path) -> NDArray[np.float32]:
    """What lies outside the field of view may be written as not-a-number: it becomes the lowest value there is."""
    with np.errstate(over="ignore"):
        voxels = np.array(data, np.float32)
    unknown = ~np.isfinite(voxels)
    if unknown.all():
        raise InvalidVolume(f"{path} holds no numbers.")
    if unknown.any():
        voxels[unknown] = voxels[~unknown].min()
    return voxels


def grid_of(volume: Volume) -> SourceGrid:
    """A grid for a volume from DICOM: sheared for a tilted gantry, with the mean step when slices are uneven."""
    steps = np.empty((3, 3))
    steps[:, 0] = np.array(volume.row_direction) * volume.spacing_mm[1]
    steps[:, 1] = np.array(volume.column_direction) * volume.spacing_mm[0]
    span = volume.positions_mm[-1] - volume.positions_mm[0]
    count = len(volume.positions_mm) - 1
    steps[:, 2] = span / count if count else volume.normal * volume.thickness_mm
    affine = np.eye(4)
    affine[:3, :3] = _RAS_TO_LPS @ steps
    affine[:3, 3] = _RAS_TO_LPS @ volume.positions_mm[0]
    return SourceGrid(affine, nib.orientations.axcodes2ornt("LPS"))
