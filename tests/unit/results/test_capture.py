"""Pictures of key slices: what is drawn on them, what is not, and what the gate stops."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import ImageDraw
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.answers import LABELS, answer
from support.ct import blobs, multi_frame, tilted_ct
from support.mosaic import siemens

from models.dicom import read_series
from models.volume import Volume
from services.errors import Reject
from services.results.answer import Answer
from services.results.capture import encode_captures
from services.results.capture_gate import check_captures
from services.results.drawing import draw, key_slices, orientation
from services.results.encode import capture
from services.results.equipment import part10

SHAPE = (10, 64, 64)
COLOURS = {label.name: label.colour for label in LABELS}


def _made(labels: list[int], **options: object) -> tuple[Answer, Volume]:
    datasets = tilted_ct(**options)  # type: ignore[arg-type]
    volume = read_series(datasets)
    by_uid = {dataset.SOPInstanceUID: dataset for dataset in datasets}
    return answer([by_uid[uid] for uid in volume.sources], blobs(SHAPE, labels), measured=True), volume


def test_each_finding_is_outlined_on_the_slice_where_it_is_largest() -> None:
    made, volume = _made([1, 3])
    made.segmentation[1, 20:60, 20:60] = 1
    first, second = (dcmread(BytesIO(data)) for _, data in capture(made, volume))
    assert key_slices(made) == [1, 2]
    for dataset, index in ((first, 1), (second, 2)):
        assert [item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence] == [
            made.sources[index].SOPInstanceUID
        ]
        picture = dataset.pixel_array[56 : 56 + 768]
        for finding in made.findings:
            drawn = (picture == COLOURS[finding.label]).all(axis=2)
            mask = made.segmentation[index] == made.label(finding.label).value
            assert drawn.any() == mask.any()
            if mask.any():
                rows = np.nonzero(drawn)[0]
                low, high = np.nonzero(mask.any(axis=1))[0][[0, -1]]
                assert abs(rows.min() - 12 * low) <= 14
                assert abs(rows.max() - 12 * (high + 1)) <= 14
    assert (first.BurnedInAnnotation, first.ConversionType, first.Modality) == ("YES", "WSD", "OT")
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)
    assert list(first.PatientOrientation) == ["L", "P"]


def test_a_capture_of_a_multi_frame_image_names_the_frame() -> None:
    image = multi_frame(tilted_ct()[::-1])
    volume = read_series([image])
    made = answer([image], blobs(SHAPE, [1]))
    (_, data), *_ = capture(made, volume)
    [item] = dcmread(BytesIO(data)).SourceImageSequence
    assert item.ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert item.ReferencedFrameNumber == 10 - key_slices(made)[0]
    assert np.array_equal(made.sources[0].ImagePositionPatient, volume.positions_mm[0])


def test_a_capture_of_a_mosaic_refers_to_it_and_tells_the_slice_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    slices = tilted_ct(gaps_mm=[5.0] * 9, tilt_deg=0)
    for number, each in enumerate(slices):
        each.Modality, each.SeriesNumber, each.InstanceNumber = "MR", 4, 7 + number
    image = siemens(slices)
    volume = read_series([image])
    made = answer([image], blobs(SHAPE, [1]))
    (_, data), *_ = capture(made, volume)
    [item] = dcmread(BytesIO(data)).SourceImageSequence
    assert item.ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert "ReferencedFrameNumber" not in item
    written: list[str] = []
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text", lambda _self, _place, text, *_args, **_options: written.append(str(text))
    )
    draw(made, volume, key_slices(made)[0])
    assert any(f"Series 4, image 7, slice {key_slices(made)[0] + 1} of its mosaic." in line for line in written)


def test_a_capture_repeats_itself_and_nobodys_name_is_in_its_pixels() -> None:
    made, volume = _made([2, 4])
    written = [data for _, data in capture(made, volume)]
    assert [data for _, data in capture(made, volume)] == written
    other, _ = _made([2, 4], name="Somebody^Else")
    for before, after in zip(written, capture(other, volume), strict=True):
        assert np.array_equal(dcmread(BytesIO(before)).pixel_array, after[0].pixel_array)
    another = replace(made, input_digest="34" * 32)
    assert {dataset.SOPInstanceUID for dataset, _ in capture(another, volume)}.isdisjoint(
        dcmread(BytesIO(data)).SOPInstanceUID for data in written
    )


def test_without_a_finding_there_is_no_picture_and_without_voxels_its_key_slice() -> None:
    made, volume = _made([])
    assert capture(made, volume) == []
    found, _ = _made([1])
    empty = replace(
        found,
        segmentation=np.zeros(SHAPE, np.uint8),
        findings=(replace(found.findings[0], key_slice=7, volume_ml=0.0),),
    )
    assert key_slices(empty) == [7]
    assert draw(empty, volume, 7).shape[1:] == (768, 3)


def test_narrow_pixels_keep_their_proportions() -> None:
    made, volume = _made([1], spacing_mm=(1.0, 3.0))
    picture = draw(made, volume, 0)[56 : 56 + 768]
    rows = np.flatnonzero((picture > 40).all(axis=2).sum(axis=1) > 300)
    assert abs((rows.max() - rows.min() + 1) - 256) <= 2


@pytest.mark.parametrize(
    ("direction", "letter"),
    [((1, 0, 0), "L"), ((-0.9, 0.3, 0), "R"), ((0, 0.9, -0.4), "P"), ((0, -1, 0), "A"), ((0, 0, 1), "H")],
)
def test_directions_have_the_standards_letters(direction: tuple[float, float, float], letter: str) -> None:
    assert orientation(direction) == letter


def _brighten(dataset: Dataset) -> None:
    dataset.PixelData = bytes([dataset.PixelData[0] ^ 1]) + dataset.PixelData[1:]


def _deny_text(dataset: Dataset) -> None:
    dataset.BurnedInAnnotation = "NO"


def _point_elsewhere(dataset: Dataset) -> None:
    dataset.SourceImageSequence[0].ReferencedSOPInstanceUID = "2.25.1"


def _somebody_else(dataset: Dataset) -> None:
    dataset.PatientID = "OTHER"


def _forget_the_notice(dataset: Dataset) -> None:
    dataset.SeriesDescription = "Nightjar"


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (_brighten, "pixels are not what was drawn"),
        (_deny_text, "text in its pixels"),
        (_point_elsewhere, "does not refer to the slice"),
        (_somebody_else, "PatientID is not that of the source"),
        (_forget_the_notice, "series lacks the notice"),
    ],
)
def test_the_gate_stops_what_is_not_the_answers(harm: Callable[[Dataset], None], reason: str) -> None:
    made, volume = _made([1])
    [dataset] = encode_captures(made, volume)
    check_captures(made, volume, [part10(dataset)])
    harm(dataset)
    with pytest.raises(Reject, match=reason):
        check_captures(made, volume, [part10(dataset)])
    with pytest.raises(Reject, match="another number"):
        check_captures(made, volume, [])
