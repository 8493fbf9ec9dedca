"""Experts' label maps, brought onto the axes of the image they belong to."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import SegmentationStorage

from models.card import Card
from models.decoding import decode
from models.errors import InvalidVolume
from models.functional_groups import PER_FRAME, in_frame
from models.nifti import grid_of, read_nifti
from models.volume import Volume

SAME_VOXEL = 0.1
"""Corners of two grids may lie so far apart, in voxels: files round their affines."""

SAME_PLANE_MM = 0.05

Affine = NDArray[np.float64]
Shape = tuple[int, ...]


def read_truth(path: Path, volume: Volume, card: Card) -> NDArray[np.uint8]:
    """A label map on the volume's grid: uint8, axes (slice, row, column), the card's values.

    Args:
        path: a NIfTI, or a file or folder with one DICOM Segmentation whose segments carry the card's codes or names.

    Raises:
        InvalidVolume: it cannot be read, lies on another grid, or holds values the card does not know.
    """
    if path.is_dir() or path.suffix == ".dcm":
        return _from_segmentation(path, volume, card)
    truth, _ = read_nifti(path)
    axes = _axes(grid_of(volume).affine, volume.voxels.shape[::-1], grid_of(truth).affine, truth.voxels.shape[::-1])
    if axes is None:
        raise InvalidVolume(f"{path} lies on another grid than its image: {_differ(volume, truth)}")
    order, signs = axes
    data = truth.voxels.transpose(2, 1, 0).transpose(order)
    data = np.flip(data, tuple(axis for axis in range(3) if signs[axis] < 0)).transpose(2, 1, 0)
    known = np.array([0, *(label.value for label in card.labels)])
    strange = np.setdiff1d(data, known)
    if len(strange):
        raise InvalidVolume(
            f"{path} holds the value {strange[0]:g}; {card.name} knows "
            f"{', '.join(f'{label.value} ({label.name})' for label in card.labels)} and 0."
        )
    return np.ascontiguousarray(data, np.uint8)


def check_headers(image: Path, truth: Path) -> None:
    """Refuse a pair of NIfTI files on different grids before anything is analysed; other pairs pass.

    Raises:
        InvalidVolume: a sentence that names both.
    """
    if image.is_dir() or truth.is_dir() or truth.suffix == ".dcm":
        return
    headers = []
    for path in (image, truth):
        try:
            header = nib.nifti1.load(path)
            headers.append((np.asarray(header.affine, float), tuple(n for n in header.shape if n > 1)))
        except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError):
            if path == truth:
                raise InvalidVolume(f"{truth} cannot be read as NIfTI.") from None
            return  # the study will be listed as failed
    (affine, shape), (other, other_shape) = headers
    if len(shape) != 3 or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        return  # the same
    if abs(np.linalg.det(other[:3, :3])) < 1e-9 or _axes(affine, shape, other, other_shape) is None:
        raise InvalidVolume(
            f"{truth} lies on another grid than {image}: it has {_grid(other, other_shape)}, "
            f"the image {_grid(affine, shape)}. Bring it onto the image's grid with nearest neighbour."
        )


def _axes(
    image: Affine, shape: Shape, truth: Affine, truth_shape: Shape
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Which axis of the truth is each of the image's, and its sign (-1: runs the other way); None: other grids."""
    if len(shape) != 3 or len(truth_shape) != 3:
        return None
    between = np.linalg.inv(truth) @ image
    order = tuple(int(axis) for axis in np.abs(between[:3, :3]).argmax(axis=0))
    signs = tuple(1 if between[order[axis], axis] > 0 else -1 for axis in range(3))
    if sorted(order) != [0, 1, 2] or tuple(truth_shape[axis] for axis in order) != tuple(shape):
        return None
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij")).reshape(3, -1)
    there = between[:3, :3] @ corners + between[:3, 3:]
    expected = np.empty_like(there)
    for axis in range(3):
        expected[order[axis]] = corners[axis] if signs[axis] > 0 else shape[axis] - 1 - corners[axis]
    return (order, signs) if np.abs(there - expected).max() <= SAME_VOXEL else None


def _grid(affine: Affine, shape: Shape) -> str:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return (
        f"{' x '.join(map(str, shape))} voxels of {' x '.join(f'{mm:.2f}' for mm in spacing)} mm "
        f"from ({', '.join(f'{mm:.1f}' for mm in affine[:3, 3])})"
    )


def _differ(volume: Volume, truth: Volume) -> str:
    has, image = (_grid(grid_of(each).affine, each.voxels.shape[::-1]) for each in (truth, volume))
    return f"it has {has}, the image {image}. Bring it onto the image's grid with nearest neighbour."


def _from_segmentation(path: Path, volume: Volume, card: Card) -> NDArray[np.uint8]:
    dataset = _read_segmentation(path)
    try:
        frames = decode(dataset)
        frames = frames[None] if frames.ndim == 2 else frames
        rows, columns = (int(dataset.Rows), int(dataset.Columns))
        values = {int(segment.SegmentNumber): _value(segment, card, path) for segment in dataset.SegmentSequence}
        truth: NDArray[np.uint8] = np.zeros(volume.voxels.shape, np.uint8)
        if (rows, columns) != truth.shape[1:]:
            raise InvalidVolume(
                f"{path} lies on another grid than its image: its planes have {rows} x {columns} "
                f"voxels, the image's {truth.shape[1]} x {truth.shape[2]}."
            )
        for number, (frame, own) in enumerate(zip(frames, dataset[PER_FRAME].value, strict=True), start=1):
            turned = in_frame(dataset, number, "PlaneOrientationSequence").ImageOrientationPatient
            if not np.allclose(np.array(turned, float), [*volume.row_direction, *volume.column_direction], atol=1e-3):
                raise InvalidVolume(f"{path} lies on another grid than its image: its planes are turned.")
            position = np.array(own.PlanePositionSequence[0].ImagePositionPatient, float)
            away = np.linalg.norm(volume.positions_mm - position, axis=1)
            k = int(away.argmin())
            if away[k] > SAME_PLANE_MM:
                raise InvalidVolume(
                    f"{path} lies on another grid than its image: a plane is {away[k]:.1f} mm off the nearest slice."
                )
            value = values[int(own.SegmentIdentificationSequence[0].ReferencedSegmentNumber)]
            if (truth[k][frame > 0] > 0).any():
                raise InvalidVolume(f"{path} has segments that overlap; a voxel has one label here.")
            truth[k][frame > 0] = value
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InvalidVolume(f"{path} is no Segmentation that can be read.") from error
    return truth


def _read_segmentation(path: Path) -> Dataset:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    found = []
    for file in files:
        try:
            dataset = pydicom.dcmread(file)
        except (InvalidDicomError, OSError, ValueError):
            continue
        if dataset.get("SOPClassUID") == SegmentationStorage and dataset.get("SegmentationType") == "BINARY":
            found.append(dataset)
    if len(found) != 1:
        raise InvalidVolume(f"{path} holds {len(found)} binary DICOM Segmentations; a truth is one.")
    return found[0]


def _value(segment: Dataset, card: Card, path: Path) -> int:
    code = segment.SegmentedPropertyTypeCodeSequence[0]
    for label in card.labels:
        if (code.CodeValue, code.CodingSchemeDesignator) == (label.code.value, label.code.scheme):
            return label.value
        if str(segment.SegmentLabel).strip() == label.name:
            return label.value
    raise InvalidVolume(
        f"{path}: its segment {int(segment.SegmentNumber)} is none of {', '.join(label.name for label in card.labels)}."
    )
