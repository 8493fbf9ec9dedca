"""Masks from DICOM Segmentations, binary and label map (PS3.3 A.51), read with highdicom, placed frame by frame."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from highdicom.seg import Segmentation
from numpy.typing import NDArray
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, SegmentationStorage

from models.decoding import decode
from services.review.incoming import Incoming, OtherGrid, resample_slices
from services.review.masks import SAME_VOXELS, Grid, InvalidMask

LABEL_MAP_SEGMENTATION_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
SEGMENTATIONS = frozenset({SegmentationStorage, LABEL_MAP_SEGMENTATION_STORAGE})
LARGEST_VOXELS = 2**30

_PARALLEL = 1e-3
_OFFSET_DIGITS = 2
"""Of millimetres: frames of several segments on one slice lie together."""


def read_segmentation(data: bytes, grid: Grid, *, study_uid: str, resampled: bool = False) -> Incoming:
    """What a Segmentation marks, on the images' grid.

    Args:
        data: Part 10 file.
        study_uid: of the images; a Segmentation of another study is another patient's until somebody proves otherwise.
        resampled: take one on another grid too, each voxel the nearest of the file's.

    Raises:
        OtherGrid: it lies on another grid and `resampled` is false.
        InvalidMask: it cannot be taken; the message says what and where.
    """
    header = open_segmentation(data)
    if str(header.get("StudyInstanceUID") or "") != study_uid:
        raise InvalidMask("The segmentation belongs to another study. Open the task of that study to add it there.")
    frame_of_reference = str(header.get("FrameOfReferenceUID") or "")
    if grid.frame_of_reference_uid and frame_of_reference != grid.frame_of_reference_uid:
        raise InvalidMask(
            f"The segmentation is in another frame of reference ({_ending(frame_of_reference)}) than the images "
            f"({_ending(grid.frame_of_reference_uid)}): where its voxels lie in this patient is not known. Draw it on "
            "this series, or export it from a viewer that had this series."
        )
    if header.get("SegmentationType") == "FRACTIONAL":
        raise InvalidMask(
            "The segmentation holds fractions (Segmentation Type FRACTIONAL); here a voxel is marked or not. Save it "
            "as a binary or label map segmentation."
        )
    segmentation, frames = _decode(header)
    names = segment_names(header)
    try:
        segments = _place(segmentation, frames, grid)
        moved = False
    except OtherGrid:
        if not resampled:
            raise
        segments = _resample(segmentation, frames, grid)
        moved = True
    if not segments.any():
        where = " on these images" if moved else f": none of its {len(frames)} frames has a marked voxel"
        raise InvalidMask(f"The segmentation marks nothing{where}.")
    notes = []
    if not grid.frame_of_reference_uid:
        notes.append("The images name no frame of reference; only the grid was compared.")
    if moved:
        notes.append("Resampled: each voxel has the number of the nearest one in the file.")
    return Incoming(
        segments=segments,
        names=names,
        grid=grid,
        notes=tuple(notes),
        references=references_of(header),
        resampled=moved,
    )


def open_segmentation(data: bytes) -> Dataset:
    """The Segmentation in a file, its pixels not decoded yet.

    Raises:
        InvalidMask: it is no DICOM, no Segmentation, or ends early.
    """
    try:
        with disable_value_validation():
            dataset = pydicom.dcmread(BytesIO(data))
            sop_class = dataset.SOPClassUID
    except InvalidDicomError:
        raise InvalidMask("This is no DICOM file.") from None
    except Exception as error:  # whatever a damaged file makes of the reader; its message may quote the file
        raise InvalidMask(f"The DICOM file is damaged or ends early ({type(error).__name__}).") from error
    if sop_class not in SEGMENTATIONS:
        raise InvalidMask(f"This DICOM object is no segmentation: it is {sop_class.name}.")
    if "PixelData" not in dataset:
        raise InvalidMask("The segmentation ends before its frames: it has no Pixel Data. Export it again.")
    return dataset


def references_of(header: Dataset) -> frozenset[str]:
    """SOP Instance UIDs of everything the object refers to, wherever in it."""
    return frozenset(
        str(element.value) for element in header.iterall() if element.keyword == "ReferencedSOPInstanceUID"
    )


def segment_names(header: Dataset) -> Mapping[int, str]:
    """What its segments are called, by number; 0 is a label map's background and no segment."""
    segments = header.get("SegmentSequence", ())
    return {int(item.SegmentNumber): str(item.SegmentLabel) for item in segments if item.SegmentNumber}


def _decode(header: Dataset) -> tuple[Segmentation, NDArray[Any]]:
    rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    count = int(header.get("NumberOfFrames") or 1)
    if not 0 < rows * columns * count <= LARGEST_VOXELS:
        raise InvalidMask(
            f"The segmentation has {count} frames of {columns} x {rows} pixels; that cannot be read here."
        )
    if not header.file_meta.TransferSyntaxUID.is_compressed:
        needed = -(-rows * columns * count * int(header.BitsAllocated) // 8)
        if len(header.PixelData) < needed:
            raise InvalidMask(
                f"The segmentation ends early: {len(header.PixelData)} of the {needed} bytes of its {count} frames are "
                "there. Send it again."
            )
    try:
        with disable_value_validation():
            segmentation = Segmentation.from_dataset(header)
            frames = decode(header).reshape(count, rows, columns)
            placed = len(segmentation.PerFrameFunctionalGroupsSequence)
    except Exception as error:  # its message may quote the file
        raise InvalidMask(
            f"The segmentation is damaged or ends early: its {count} frames cannot be decoded ({type(error).__name__})."
        ) from error
    if placed != count:
        raise InvalidMask(f"The segmentation is damaged: it says of {placed} of its {count} frames where they lie.")
    return segmentation, frames


def _place(segmentation: Segmentation, frames: NDArray[Any], grid: Grid) -> NDArray[np.uint16]:
    """Every frame on the slice it lies on.

    Raises:
        OtherGrid: one lies on none, or its pixels are others.
        InvalidMask: two segments claim one voxel.
    """
    segments = np.zeros(grid.shape, np.uint16)
    is_map = segmentation.SOPClassUID == LABEL_MAP_SEGMENTATION_STORAGE
    for number, (frame, item) in enumerate(
        zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True), start=1
    ):
        if not frame.any():
            continue
        k, top, left, values = _on_grid(segmentation, item, frame, number, grid)
        if not is_map:
            values = values.astype(np.uint16) * int(
                _group(segmentation, item, "SegmentIdentificationSequence").ReferencedSegmentNumber
            )
        target = segments[k, top : top + values.shape[0], left : left + values.shape[1]]
        claimed = (target > 0) & (values > 0) & (target != values)
        if claimed.any():
            row, column = np.argwhere(claimed)[0]
            raise InvalidMask(
                f"Segments {target[row, column]} and {values[row, column]} overlap in {int(claimed.sum())} voxels of "
                f"slice {k + 1}, the first at column {left + column}, row {top + row}. A voxel has one label here."
            )
        np.copyto(target, values.astype(np.uint16), where=values > 0)
    return segments


def _on_grid(
    segmentation: Segmentation, item: Dataset, frame: NDArray[Any], number: int, grid: Grid
) -> tuple[int, int, int, NDArray[Any]]:
    """Slice, first row and first column of a frame, and its pixels the way the images' rows and columns run."""
    position = np.array(_group(segmentation, item, "PlanePositionSequence").ImagePositionPatient, np.float64)
    orientation = np.array(_group(segmentation, item, "PlaneOrientationSequence").ImageOrientationPatient, np.float64)
    spacing = [float(value) for value in _group(segmentation, item, "PixelMeasuresSequence").PixelSpacing]
    directions = np.array([grid.row_direction, grid.column_direction])
    turns = (orientation.reshape(2, 3) * directions).sum(axis=1)
    if (np.abs(np.abs(turns) - 1) > _PARALLEL).any():
        angle = float(np.degrees(np.arccos(np.clip(np.abs(turns).min(), 0, 1))))
        raise OtherGrid(f"Frame {number} of the segmentation is turned by {angle:.1f} degrees against the images.")
    unlike = np.abs(np.array(spacing) / grid.spacing_mm - 1) * frame.shape
    if (unlike > SAME_VOXELS).any():
        raise OtherGrid(
            f"The segmentation has {frame.shape[1]} x {frame.shape[0]} pixels of {spacing[1]:.4g} x {spacing[0]:.4g} "
            f"mm, the images {grid.shape[2]} x {grid.shape[1]} of {grid.spacing_mm[1]:.4g} x {grid.spacing_mm[0]:.4g} "
            "mm."
        )
    away = position @ grid.volume.normal - grid.volume.offsets_mm
    k = int(np.abs(away).argmin())
    if abs(away[k]) > SAME_VOXELS * grid.volume.slab_mm[k]:
        raise OtherGrid(
            f"Frame {number} of the segmentation lies between the slices: {abs(away[k]):.2f} mm from slice {k + 1}, "
            "the nearest."
        )
    start = directions @ (position - grid.positions_mm[k]) / (grid.spacing_mm[1], grid.spacing_mm[0])
    for axis, way in enumerate(turns):
        if way < 0:
            frame = np.flip(frame, axis=1 - axis)
            start[axis] -= frame.shape[1 - axis] - 1
    left, top = (int(value) for value in np.rint(start))
    if np.abs(start - (left, top)).max() > SAME_VOXELS:
        raise OtherGrid(
            f"Frame {number} of the segmentation is shifted against slice {k + 1} by {start[0] - left:+.2f} columns "
            f"and {start[1] - top:+.2f} rows, which is no whole number of pixels."
        )
    if left < 0 or top < 0 or left + frame.shape[1] > grid.shape[2] or top + frame.shape[0] > grid.shape[1]:
        raise OtherGrid(f"Frame {number} of the segmentation reaches beyond slice {k + 1} of the images.")
    return k, top, left, frame


def _group(segmentation: Segmentation, item: Dataset, keyword: str) -> Dataset:
    """A functional group of a frame, its own or the one all frames share."""
    for groups in (item, segmentation.SharedFunctionalGroupsSequence[0]):
        if keyword in groups:
            group: Dataset = groups[keyword].value[0]
            return group
    raise InvalidMask(f"The segmentation does not say what its frames are: one has no {keyword}.")


def _resample(segmentation: Segmentation, frames: NDArray[Any], grid: Grid) -> NDArray[np.uint16]:
    own, step_mm = _own_grid(segmentation, frames.shape)
    try:
        numbers = _place(segmentation, frames, own)
    except OtherGrid as error:
        raise InvalidMask(
            "The segmentation cannot be resampled: its frames are not parallel, or not of the same pixels."
        ) from error
    return resample_slices(numbers, own, step_mm, grid)


def _own_grid(segmentation: Segmentation, shape: tuple[int, ...]) -> tuple[Grid, float]:
    """The slices that the frames lie on, in order, and how thick one is, mm; empty ones may be left out."""
    items = segmentation.PerFrameFunctionalGroupsSequence
    orientation = _group(segmentation, items[0], "PlaneOrientationSequence").ImageOrientationPatient
    x, y, z, u, v, w = (float(value) for value in orientation)
    measures = _group(segmentation, items[0], "PixelMeasuresSequence")
    rows_mm, columns_mm = (float(value) for value in measures.PixelSpacing)
    normal = np.cross((x, y, z), (u, v, w))
    places = {}
    for item in items:
        place = np.array(_group(segmentation, item, "PlanePositionSequence").ImagePositionPatient, np.float64)
        places[round(float(place @ normal), _OFFSET_DIGITS)] = place
    offsets = sorted(places)
    gaps = np.diff(offsets)
    step_mm = float(measures.get("SpacingBetweenSlices") or 0) or (
        float(gaps.min()) if len(gaps) else float(measures.get("SliceThickness") or 1)
    )
    own = Grid(
        shape=(len(offsets), shape[1], shape[2]),
        positions_mm=np.array([places[offset] for offset in offsets]),
        row_direction=(x, y, z),
        column_direction=(u, v, w),
        spacing_mm=(rows_mm, columns_mm),
    )
    return own, step_mm


def _ending(uid: str) -> str:
    return f"ends in {uid[-8:]}" if uid else "names none"
