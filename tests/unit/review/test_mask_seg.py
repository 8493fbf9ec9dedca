"""Segmentations from viewers, written by highdicom: every voxel where it was, or a sentence that says why not."""

from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from support.ct import STUDY_UID
from support.masks import GEOMETRIES, blobs, halve, images, viewer_segmentation

from services.review.incoming import OtherGrid
from services.review.mask_seg import read_segmentation, references_of
from services.review.masks import InvalidMask

NAMES = ("IPH", "Tissue", "SDH")


@pytest.mark.parametrize("is_map", [False, True], ids=["binary", "label map, RLE"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_round_trip(geometry: str, is_map: bool) -> None:
    grid, headers = images(geometry)
    labels = blobs(grid, (1, 2, 3))
    # A viewer gives the slices in whatever order they came.
    order = np.random.default_rng(1).permutation(len(headers))
    data = viewer_segmentation([headers[k] for k in order], labels[order], NAMES, is_map=is_map)
    taken = read_segmentation(data, grid, study_uid=STUDY_UID)
    assert np.array_equal(taken.segments, labels)
    assert taken.names == {1: "IPH", 2: "Tissue", 3: "SDH"}
    assert set(grid.sources) & taken.references
    assert not taken.resampled


def test_a_part_of_each_slice_is_put_in_its_place() -> None:
    grid, headers = images()
    labels = blobs(grid, (1,))
    data = pydicom.dcmread(BytesIO(viewer_segmentation(headers, labels, NAMES[:1])))
    frames = pydicom.dcmread(BytesIO(viewer_segmentation(headers, labels, NAMES[:1]))).pixel_array
    top, left, rows, columns = 6, 16, 32, 40
    for frame in data.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0]
        moved = np.array(place.ImagePositionPatient, float)
        moved += np.array(grid.row_direction) * left * grid.spacing_mm[1]
        moved += np.array(grid.column_direction) * top * grid.spacing_mm[0]
        place.ImagePositionPatient = [f"{value:.7g}" for value in moved]
    data.Rows, data.Columns = rows, columns
    cropped = frames.reshape(-1, *grid.shape[1:])[:, top : top + rows, left : left + columns]
    data.PixelData = np.packbits(cropped.ravel().astype(bool), bitorder="little").tobytes()
    taken = read_segmentation(_bytes(data), grid, study_uid=STUDY_UID)
    expected = np.zeros_like(labels)
    expected[:, top : top + rows, left : left + columns] = labels[:, top : top + rows, left : left + columns]
    assert np.array_equal(taken.segments, expected)


def _bytes(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def test_references_are_found_wherever_they_stand() -> None:
    grid, headers = images()
    data = pydicom.dcmread(BytesIO(viewer_segmentation(headers, blobs(grid, (1,)), NAMES[:1])))
    item = Dataset()
    item.ReferencedSOPInstanceUID = "2.25.77"
    data.SourceInstanceSequence = [item]
    assert "2.25.77" in references_of(data)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_another_grid_is_resampled_only_when_asked(geometry: str) -> None:
    grid, headers = images(geometry)
    coarse = halve(headers)
    labels = np.zeros((len(coarse), 32, 32), np.uint8)
    labels[3:5, 10:16, 12:20] = 1
    labels[7, 20:30, 2:9] = 1  # the slices between are left out of the file, and stay empty
    data = viewer_segmentation(coarse, labels, NAMES[:1])
    with pytest.raises(OtherGrid, match=r"32 x 32 pixels of 6.2 x 6.4 mm, the images 64 x 64 of 3.1 x 3.2 mm"):
        read_segmentation(data, grid, study_uid=STUDY_UID)
    taken = read_segmentation(data, grid, study_uid=STUDY_UID, resampled=True)
    assert taken.resampled
    assert np.array_equal(taken.segments, np.repeat(np.repeat(labels, 2, axis=1), 2, axis=2))


def _refusal(data: bytes, **changes: object) -> str:
    grid, _ = images()
    with pytest.raises(InvalidMask) as refused:
        read_segmentation(data, grid, **({"study_uid": STUDY_UID} | changes))  # type: ignore[arg-type]
    return str(refused.value)


def test_refusals_say_what_and_where() -> None:
    grid, headers = images()
    labels = blobs(grid, (1, 2))
    good = viewer_segmentation(headers, labels, NAMES[:2])
    assert "belongs to another study" in _refusal(good, study_uid="1.2.3")
    stranger = viewer_segmentation(headers, labels, NAMES[:2], FrameOfReferenceUID="2.25.1234567890123")
    assert "another frame of reference (ends in 67890123)" in _refusal(stranger)
    assert "fractions" in _refusal(viewer_segmentation(headers, labels, NAMES[:2], SegmentationType="FRACTIONAL"))
    assert "none of its" in _refusal(_emptied(good))
    assert "no DICOM file" in _refusal(b"PK\x03\x04 something else entirely")
    assert "no segmentation: it is CT Image Storage" in _refusal(_part10(headers[0]))
    assert "segments 1 and 2 overlap in 4 voxels of slice 3, the first at column 20, row 10" in (
        _refusal(_overlapping(headers)).lower()
    )


def _part10(header: Dataset) -> bytes:
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return _bytes(header)


def _emptied(data: bytes) -> bytes:
    dataset = pydicom.dcmread(BytesIO(data))
    dataset.PixelData = bytes(len(dataset.PixelData))
    return _bytes(dataset)


def _overlapping(headers: list[Dataset]) -> bytes:
    pixels = np.zeros((len(headers), 64, 64, 2), np.uint8)
    pixels[2, 10:12, 20:30, 0] = 1
    pixels[2, 8:12, 20:22, 1] = 1
    return viewer_segmentation(headers, pixels, NAMES[:2])


@pytest.mark.parametrize("is_map", [False, True], ids=["binary", "label map, RLE"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_refused_wherever_it_ends(part: float, is_map: bool) -> None:
    grid, headers = images()
    data = viewer_segmentation(headers, blobs(grid, (1, 2, 3)), NAMES, is_map=is_map)
    said = _refusal(data[: int(len(data) * part)])
    assert "ends early" in said or "ends before" in said or "damaged" in said


def test_a_frame_between_slices_or_turned_is_on_another_grid() -> None:
    grid, headers = images()
    data = pydicom.dcmread(BytesIO(viewer_segmentation(headers, blobs(grid, (1,)), NAMES[:1])))
    place = data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    moved = np.array(place.ImagePositionPatient, float) + 1.1 * grid.volume.normal
    place.ImagePositionPatient = [f"{value:.7g}" for value in moved]
    assert "lies between the slices: 1.10 mm from slice 3" in _refusal(_bytes(data))
    turned, _ = images("oblique")
    data = viewer_segmentation(images("oblique")[1], blobs(turned, (1,)), NAMES[:1])
    dataset = pydicom.dcmread(BytesIO(data))
    dataset.FrameOfReferenceUID = grid.frame_of_reference_uid
    assert "degrees against the images" in _refusal(_bytes(dataset))
