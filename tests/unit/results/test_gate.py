from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.answers import answer
from support.ct import as_bytes, blobs, multi_frame, tilted_ct
from support.mosaic import united_imaging

from services.errors import Reject
from services.results.answer import Answer
from services.results.equipment import part10
from services.results.gate import check_results
from services.results.report import encode_report
from services.results.segmentation import encode_segmentation

SHAPE = (10, 64, 64)


@pytest.fixture(scope="module")
def good() -> tuple[Answer, bytes, bytes]:
    made = answer(tilted_ct(), blobs(SHAPE, [1, 3, 5]))
    segmentation = encode_segmentation(made)
    assert segmentation is not None
    return made, part10(segmentation), part10(encode_report(made, segmentation))


def test_what_was_written_passes(good: tuple[Answer, bytes, bytes]) -> None:
    check_results(*good)


def _move_frame(dataset: Dataset) -> None:
    position = dataset.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0]
    position.ImagePositionPatient[2] = float(position.ImagePositionPatient[2]) + 0.01


def _point_elsewhere(dataset: Dataset) -> None:
    frame = dataset.PerFrameFunctionalGroupsSequence[0]
    frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = "2.25.1"


def _point_to_another_frame(dataset: Dataset) -> None:
    frames = dataset.PerFrameFunctionalGroupsSequence
    one, other = (frame.DerivationImageSequence[0].SourceImageSequence[0] for frame in frames[:2])
    one.ReferencedFrameNumber = other.ReferencedFrameNumber


def _lose_the_frame(dataset: Dataset) -> None:
    frame = dataset.PerFrameFunctionalGroupsSequence[0]
    del frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber


def _flip_pixels(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[::-1]


def _turn(dataset: Dataset) -> None:
    plane = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]


def _rescale(dataset: Dataset) -> None:
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1, 1]


def _lose_algorithm(dataset: Dataset) -> None:
    del dataset.SegmentSequence[1].SegmentationAlgorithmIdentificationSequence


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_move_frame, "does not lie on its source image"),
        (_point_elsewhere, "refers to an image that was not analysed"),
        (_flip_pixels, "pixels are not the model's"),
        (_turn, "turned against the source"),
        (_rescale, "another spacing"),
        (_lose_algorithm, "SegmentSequence.SegmentationAlgorithmIdentificationSequence"),
        (lambda dataset: setattr(dataset, "FrameOfReferenceUID", "2.25.1"), "another frame of reference"),
        (lambda dataset: setattr(dataset, "PatientID", "SOMEBODY-ELSE"), "its PatientID is not"),
        (lambda dataset: setattr(dataset, "SOPInstanceUID", "2.25.1"), "SOP Instance UID"),
        (lambda dataset: setattr(dataset, "SeriesDescription", "Bleed"), "lacks the notice"),
        (lambda dataset: delattr(dataset, "ContentLabel"), "lacks ContentLabel"),
        (lambda dataset: delattr(dataset, "PixelData"), "lacks PixelData"),
    ],
)
def test_a_damaged_segmentation_is_stopped(
    good: tuple[Answer, bytes, bytes], damage: Callable[[Dataset], None], says: str
) -> None:
    made, segmentation, report = good
    dataset = dcmread(BytesIO(segmentation))
    damage(dataset)

    with pytest.raises(Reject, match=says) as raised:
        check_results(made, as_bytes(dataset), report)
    assert "SOMEBODY" not in str(raised.value)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_point_to_another_frame, "does not lie on its source image"),
        (_lose_the_frame, "refers to an image that was not analysed"),
        (_flip_pixels, "pixels are not the model's"),
    ],
)
def test_a_segmentation_of_multi_frame_images_is_held_against_their_frames(
    damage: Callable[[Dataset], None], says: str
) -> None:
    slices = tilted_ct()
    made = answer([multi_frame(slices[1::2]), multi_frame(slices[::2])], blobs(SHAPE, [1, 3]))
    segmentation = encode_segmentation(made)
    assert segmentation is not None
    report = part10(encode_report(made, segmentation))
    check_results(made, part10(segmentation), report)
    damage(segmentation)
    with pytest.raises(Reject, match=says):
        check_results(made, part10(segmentation), report)


def test_a_segmentation_of_a_mosaic_refers_to_it_as_a_whole_and_is_held_against_its_slices() -> None:
    slices = tilted_ct(gaps_mm=[5.0] * 9, tilt_deg=0)
    for each in slices:
        each.Modality = "MR"
    mosaic = united_imaging(slices)
    made = answer([mosaic], blobs(SHAPE, [1, 3]))
    segmentation = encode_segmentation(made)
    assert segmentation is not None
    report = part10(encode_report(made, segmentation))
    check_results(made, part10(segmentation), report)
    references = [
        item
        for frame in segmentation.PerFrameFunctionalGroupsSequence
        for item in frame.DerivationImageSequence[0].SourceImageSequence
    ]
    assert {item.ReferencedSOPInstanceUID for item in references} == {mosaic.SOPInstanceUID}
    assert not any("ReferencedFrameNumber" in item for item in references)
    assert len(segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
    assert (segmentation.Rows, segmentation.Columns) == SHAPE[1:]

    frames = segmentation.PerFrameFunctionalGroupsSequence
    one, other = (frame.PlanePositionSequence[0] for frame in frames[2:4])
    one.ImagePositionPatient, other.ImagePositionPatient = other.ImagePositionPatient, one.ImagePositionPatient
    with pytest.raises(Reject, match="pixels are not the model's"):
        check_results(made, part10(segmentation), report)
    _move_frame(segmentation)
    with pytest.raises(Reject, match="does not lie on its source image"):
        check_results(made, part10(segmentation), report)


def _group(dataset: Dataset) -> Dataset:
    measurements = next(
        item for item in dataset.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"
    )
    found: Dataset = measurements.ContentSequence[0]
    return found


def _item(dataset: Dataset, code: str) -> Dataset:
    found: Dataset = next(
        item for item in _group(dataset).ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == code
    )
    return found


def _drop_notice(dataset: Dataset) -> None:
    del dataset.ContentSequence[-1]


def _wrong_volume(dataset: Dataset) -> None:
    value = _item(dataset, "118565006").MeasuredValueSequence[0]
    value.NumericValue = float(value.NumericValue) + 0.2


def _wrong_segment(dataset: Dataset) -> None:
    _item(dataset, "121191").ReferencedSOPSequence[0].ReferencedSegmentNumber = 2


def _drop_evidence(dataset: Dataset) -> None:
    del dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[-1]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_drop_notice, "lacks the notice"),
        (_wrong_volume, "gives IPH another volume"),
        (_wrong_segment, "IPH does not refer to its segment"),
        (_drop_evidence, "not in its evidence"),
        (lambda dataset: setattr(dataset, "StudyInstanceUID", "2.25.1"), "its StudyInstanceUID is not"),
    ],
)
def test_a_damaged_report_is_stopped(
    good: tuple[Answer, bytes, bytes], damage: Callable[[Dataset], None], says: str
) -> None:
    made, segmentation, report = good
    dataset = dcmread(BytesIO(report))
    damage(dataset)

    with pytest.raises(Reject, match=says):
        check_results(made, segmentation, as_bytes(dataset))


@pytest.fixture(scope="module")
def measured() -> tuple[Answer, bytes, bytes]:
    made = answer(tilted_ct(), blobs(SHAPE, [1, 3, 5]), measured=True)
    segmentation = encode_segmentation(made)
    assert segmentation is not None
    return made, part10(segmentation), part10(encode_report(made, segmentation))


def _uncertainty(dataset: Dataset, code: str) -> Dataset:
    found: Dataset = next(
        item
        for item in _item(dataset, "118565006").ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == code
    )
    return found


def _groups(dataset: Dataset) -> Sequence[Dataset]:
    measurements = next(
        item for item in dataset.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"
    )
    groups: Sequence[Dataset] = measurements.ContentSequence
    return groups


def _shift(dataset: Dataset) -> Dataset:
    found: Dataset = next(
        item
        for item in _groups(dataset)[-1].ContentSequence
        if item.ConceptNameCodeSequence[0].get("CodeValue") == "midline-shift"
    )
    return found


def _add(item: Dataset, more: float) -> None:
    value = item.MeasuredValueSequence[0]
    value.NumericValue = float(value.NumericValue) + more


def _drop(sequence: Sequence[Dataset], item: Dataset) -> None:
    sequence.remove(item)  # type: ignore[attr-defined]


def _in_centimetres(dataset: Dataset) -> None:
    _shift(dataset).MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue = "cm"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda dataset: _add(_uncertainty(dataset, "371885007"), 1.0), "gives IPH another volume range"),
        (lambda dataset: _add(_uncertainty(dataset, "371886008"), 1.0), "gives IPH another volume range"),
        (lambda dataset: _add(_item(dataset, "121221"), 1.0), "gives IPH another ABC/2"),
        (lambda dataset: _drop(_group(dataset).ContentSequence, _item(dataset, "121221")), "differ in having ABC/2"),
        (lambda dataset: _add(_shift(dataset), 0.1), "gives the measurement midline shift another value"),
        (_in_centimetres, "not in mm"),
        (lambda dataset: _drop(_groups(dataset)[-1].ContentSequence, _shift(dataset)), "lacks the measurement midline"),
        (lambda dataset: _drop(_groups(dataset), _groups(dataset)[-1]), "lacks the measurement midline"),
    ],
)
def test_a_report_with_another_measurement_is_stopped(
    measured: tuple[Answer, bytes, bytes], damage: Callable[[Dataset], None], says: str
) -> None:
    made, segmentation, report = measured
    check_results(made, segmentation, report)
    dataset = dcmread(BytesIO(report))
    damage(dataset)

    with pytest.raises(Reject, match=says):
        check_results(made, segmentation, as_bytes(dataset))


def test_a_volume_outside_its_own_range_is_stopped(measured: tuple[Answer, bytes, bytes]) -> None:
    made, segmentation, report = measured
    finding = made.findings[0]
    odd = replace(finding, volume_range_ml=(finding.volume_ml + 0.5, finding.volume_ml + 1.0))

    with pytest.raises(Reject, match="outside its own range"):
        check_results(replace(made, findings=(odd, *made.findings[1:])), segmentation, report)


def test_bytes_that_are_no_dicom_are_stopped(good: tuple[Answer, bytes, bytes]) -> None:
    made, segmentation, report = good

    for pair in ((b"no DICOM", report), (segmentation, report[:1000])):
        with pytest.raises(Reject, match="output gate"):
            check_results(made, *pair)


def test_voxels_without_a_segmentation_are_stopped(good: tuple[Answer, bytes, bytes]) -> None:
    made, _, report = good

    with pytest.raises(Reject, match="no segmentation"):
        check_results(made, None, report)


def test_a_volume_that_is_not_the_voxels_is_stopped(good: tuple[Answer, bytes, bytes]) -> None:
    made, segmentation, report = good
    finding = made.findings[0]
    other = replace(made, findings=(replace(finding, volume_ml=finding.volume_ml * 1.02 + 0.1), *made.findings[1:]))

    with pytest.raises(Reject, match="volume of segment IPH"):
        check_results(other, segmentation, report)


def test_a_finding_without_voxels_must_have_no_volume() -> None:
    made = answer(tilted_ct(), blobs(SHAPE, [2]))
    empty = replace(made, segmentation=np.zeros(SHAPE, dtype=np.uint8))

    with pytest.raises(Reject, match="volume"):
        check_results(empty, None, part10(encode_report(empty, None)))
