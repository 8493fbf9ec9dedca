"""The output gate: what was written is read back from its bytes and held against the answer before anyone gets it.

An object that fails is not delivered, and the reason is a sentence on the worklist.
"""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from models.functional_groups import in_frame
from models.prediction import Finding
from models.volume import Volume
from services.errors import Reject
from services.results.answer import NO_FLAG, NOTICE, Answer
from services.results.frames import frame_of
from services.results.iod import missing_attributes
from services.results.segmentation import segment_numbers

POSITION_TOLERANCE_MM = 1e-4
VOLUME_TOLERANCE_ML = 0.1
VOLUME_TOLERANCE_RATIO = 0.005
FINDING_SITE = "363698007"
_SERIES_NOTICE = NOTICE.removeprefix("Research use only. ")
_IDENTITY = (
    "SpecificCharacterSet",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "StudyInstanceUID",
    "StudyDate",
    "AccessionNumber",
)


def check_results(answer: Answer, segmentation: bytes | None, report: bytes) -> None:
    """Let the objects pass, or say why not.

    Raises:
        Reject: an object is not what the answer says or not a valid object of its class; nothing may be delivered.
    """
    try:
        mask = None if segmentation is None else dcmread(BytesIO(segmentation))
        document = dcmread(BytesIO(report))
        if mask is None:
            require(not answer.segments, "there are voxels but no segmentation")
            _check_volumes(answer, np.zeros_like(answer.segmentation))
        else:
            _check_segmentation(answer, mask)
        _check_report(answer, document, mask)
    except Reject:
        raise
    except Exception as error:  # whatever a reader stumbles over, a PACS would stumble over too
        raise Reject(
            f"The output gate stopped the result: it could not be read back ({type(error).__name__})."
        ) from error


def place(sources: Sequence[Dataset]) -> Volume:
    """The source images' grid, without their pixels, to measure masks on."""
    first = sources[0]
    x, y, z, u, v, w = (float(value) for value in first.ImageOrientationPatient)
    rows, columns = (float(value) for value in first.PixelSpacing)
    return Volume(
        voxels=np.broadcast_to(np.float32(0), (len(sources), int(first.Rows), int(first.Columns))),
        positions_mm=np.array([source.ImagePositionPatient for source in sources], dtype=np.float64),
        row_direction=(x, y, z),
        column_direction=(u, v, w),
        spacing_mm=(rows, columns),
    )


def check_common(
    answer: Answer, dataset: Dataset, sop_class: str, instance: str, series: str, *, notice: str = _SERIES_NOTICE
) -> None:
    """Hold against the answer what every object has: identity, patient and study, required attributes, the notice.

    Args:
        notice: what its Series Description must say.
    """
    source = answer.sources[0]
    require(dataset.SOPClassUID == sop_class, "it has another SOP class than it should")
    require(dataset.SOPInstanceUID == instance, "it has another SOP Instance UID than the derived one")
    require(dataset.SeriesInstanceUID == series, "it has another Series Instance UID than the derived one")
    require(dataset.file_meta.MediaStorageSOPInstanceUID == instance, "its file meta information names another UID")
    for keyword in _IDENTITY:
        same = (dataset.get(keyword) or "") == (source.get(keyword) or "")
        require(same, f"its {keyword} is not that of the source images")
    missing = missing_attributes(dataset)
    require(not missing, f"it lacks {', '.join(missing)}")
    require(notice in dataset.SeriesDescription, "its series lacks the notice")


def _check_segmentation(answer: Answer, dataset: Dataset) -> None:
    check_common(
        answer,
        dataset,
        SegmentationStorage,
        answer.uids.segmentation_instance(),
        answer.uids.segmentation_series(),
    )
    # Slices of a mosaic are referred to alike.
    places: dict[tuple[str, int | None], list[NDArray[np.float64]]] = {}
    for source in answer.sources:
        reference = (source.SOPInstanceUID, frame_of(source))
        places.setdefault(reference, []).append(_numbers(source.ImagePositionPatient))
    first = answer.sources[0]
    require(dataset.FrameOfReferenceUID == first.FrameOfReferenceUID, "it lies in another frame of reference")
    shared = dataset.SharedFunctionalGroupsSequence[0]
    require(
        np.allclose(
            _numbers(shared.PlaneOrientationSequence[0].ImageOrientationPatient),
            _numbers(first.ImageOrientationPatient),
            atol=1e-6,
        ),
        "its planes are turned against the source images",
    )
    require(
        np.allclose(_numbers(shared.PixelMeasuresSequence[0].PixelSpacing), _numbers(first.PixelSpacing), rtol=1e-6),
        "its pixels have another spacing than the source images'",
    )
    require(len(dataset.PerFrameFunctionalGroupsSequence) == int(dataset.NumberOfFrames), "it lacks frames")
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        item = frame.DerivationImageSequence[0].SourceImageSequence[0]
        reference = (item.ReferencedSOPInstanceUID, frame_of(item))
        require(reference in places, "a frame refers to an image that was not analysed")
        position = _numbers(frame.PlanePositionSequence[0].ImagePositionPatient)
        offset = min(np.abs(position - place).max() for place in places[reference])
        require(offset <= POSITION_TOLERANCE_MM, "a frame does not lie on its source image")
    referenced = {
        item.ReferencedSOPInstanceUID
        for series in dataset.ReferencedSeriesSequence
        for item in series.ReferencedInstanceSequence
    }
    require(referenced == {uid for uid, _ in places}, "its list of source images is not that of the images analysed")
    _check_pixels(answer, dataset)


def _check_pixels(answer: Answer, dataset: Dataset) -> None:
    numbers = _read_back(answer, dataset)
    require(
        np.array_equal(numbers, segment_numbers(answer.segmentation, answer.segments)), "its pixels are not the model's"
    )
    names = [label.name for label in answer.segments.values()]
    require([segment.SegmentLabel for segment in dataset.SegmentSequence] == names, "its segments are not the labels")
    _check_volumes(answer, numbers)


def _read_back(answer: Answer, segmentation: Dataset) -> NDArray[np.uint8]:
    """Segment numbers on the source images' slices, found by where the frames lie."""
    places = place(answer.sources).positions_mm
    numbers = np.zeros_like(answer.segmentation)
    planes = segmentation.pixel_array.reshape(-1, *numbers.shape[1:]) > 0
    for number, plane in enumerate(planes, start=1):
        position = _numbers(in_frame(segmentation, number, "PlanePositionSequence").ImagePositionPatient)
        at = numbers[np.abs(places - position).max(axis=1).argmin()]
        require(not at[plane].any(), "its segments overlap")
        at[plane] = in_frame(segmentation, number, "SegmentIdentificationSequence").ReferencedSegmentNumber
    return numbers


def _check_volumes(answer: Answer, numbers: NDArray[np.uint8]) -> None:
    """Hold each finding's volume against its segment in `numbers`, axes (slice, row, column), as read back."""
    grid = place(answer.sources)
    numbers_of = {label.name: number for number, label in answer.segments.items()}
    for finding in answer.findings:
        number = numbers_of.get(finding.label)
        volume_ml = 0.0 if number is None else grid.measure_ml(numbers == number)
        same = _same_volume(volume_ml, finding.volume_ml)
        require(same, f"the volume of segment {finding.label} is not that of the finding")


def _check_report(answer: Answer, dataset: Dataset, segmentation: Dataset | None) -> None:
    check_common(answer, dataset, ComprehensiveSRStorage, answer.uids.report_instance(), answer.uids.report_series())
    allowed = {image.SOPInstanceUID for image in (*answer.sources, *answer.further)}
    if segmentation is not None:
        allowed.add(segmentation.SOPInstanceUID)
    evidence = {
        item.ReferencedSOPInstanceUID
        for study in dataset.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    items = list(_walk(dataset))
    referenced = {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items if item.ValueType == "IMAGE"}
    require(referenced <= allowed, "the report refers to an image that was not analysed")
    require(referenced <= evidence, "the report refers to an image that is not in its evidence")
    require(allowed <= evidence, "an image that was analysed is not in the report's evidence")
    texts = " ".join(item.TextValue for item in items if item.ValueType == "TEXT")
    require(NOTICE in texts, "the report lacks the notice")

    groups = [item for item in items if _code(item) == "125007"]
    if answer.measurements:
        require(bool(groups), "the report lacks the measurements of the study")
        _check_measurements(answer, groups.pop())
    if not answer.findings:
        require(NO_FLAG in texts and len(groups) == 1, "the report does not say that no flag was raised")
        return
    require(len(groups) == len(answer.findings), "the report has another number of findings")
    numbers = {label.name: number for number, label in answer.segments.items()}
    for group, finding in zip(groups, answer.findings, strict=True):
        content = {_code(item): item for item in group.ContentSequence}
        _check_volume(content, finding)
        probability = _value(content["122157"], "1")
        same = abs(probability - finding.probability) < 1e-3
        require(same, f"the report gives {finding.label} another probability")
        require(
            answer.uids.tracking(finding.label) == content["112040"].UID, f"{finding.label} has another tracking UID"
        )
        if finding.label in numbers and segmentation is not None:
            reference = content["121191"].ReferencedSOPSequence[0]
            require(
                reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
                and int(reference.ReferencedSegmentNumber) == numbers[finding.label],
                f"{finding.label} does not refer to its segment",
            )


def _check_volume(content: Mapping[str, Dataset], finding: Finding) -> None:
    """Hold volume, its range and ABC/2 of a measurement group, items by code, against the finding."""
    volume = content["118565006"]
    same = _same_volume(_value(volume, "mL"), finding.volume_ml)
    require(same, f"the report gives {finding.label} another volume")
    reaches = {_code(item): _value(item, "mL") for item in volume.get("ContentSequence", ())}
    if finding.volume_range_ml is None:
        require(not reaches, f"the report gives {finding.label} a volume range")
    else:
        low_ml, high_ml = finding.volume_range_ml
        require(low_ml <= finding.volume_ml <= high_ml, f"the volume of {finding.label} is outside its own range")
        same = _same_volume(finding.volume_ml - reaches["371885007"], low_ml)
        same &= _same_volume(finding.volume_ml + reaches["371886008"], high_ml)
        require(same, f"the report gives {finding.label} another volume range")
    abc2 = content.get("121221")
    require((abc2 is None) == (finding.abc2_ml is None), f"the report and {finding.label} differ in having ABC/2")
    if abc2 is not None and finding.abc2_ml is not None:
        same = _same_volume(_value(abc2, "mL"), finding.abc2_ml)
        require(same, f"the report gives {finding.label} another ABC/2")


def _check_measurements(answer: Answer, group: Dataset) -> None:
    content = {_code(item): item for item in group.ContentSequence}
    for taken in answer.measurements:
        item = content.get(taken.code.value)
        require(item is not None, f"the report lacks the measurement {taken.name}")
        if item is not None and taken.answer is not None:
            same = item.ConceptCodeSequence[0].CodeValue == taken.answer.value
        elif item is not None and taken.is_sign:
            same = item.ConceptCodeSequence[0].CodeMeaning == ("Present" if taken.value else "Absent")
        else:
            same = item is not None and abs(_value(item, taken.unit) - taken.value) < 1e-3
        require(same, f"the report gives the measurement {taken.name} another value")
        parts = () if item is None else item.get("ContentSequence", ())
        sites = [part.ConceptCodeSequence[0].CodeValue for part in parts if _code(part) == FINDING_SITE]
        placed = sites == ([] if taken.site is None else [taken.site.value])
        require(placed, f"the report gives the measurement {taken.name} another place")


def _value(item: Dataset, unit: str) -> float:
    """Number of a NUM item, which must be in `unit` (UCUM)."""
    measured = item.MeasuredValueSequence[0]
    code = measured.MeasurementUnitsCodeSequence[0]
    same = (code.CodeValue, code.CodingSchemeDesignator) == (unit, "UCUM")
    require(same, f"a measurement of the report is not in {unit}")
    return float(measured.NumericValue)


def _same_volume(first_ml: float, second_ml: float) -> bool:
    return abs(first_ml - second_ml) <= max(VOLUME_TOLERANCE_ML, VOLUME_TOLERANCE_RATIO * second_ml)


def _walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _walk(child)


def _code(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    # Values of more than 16 characters have an attribute of their own (PS3.3 8.8).
    return str(names[0].get("CodeValue") or names[0].get("LongCodeValue", "")) if names else ""


def _numbers(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([float(value) for value in values], dtype=np.float64)


def require(condition: bool | np.bool_, otherwise: str) -> None:
    """Stop the result with this reason unless the condition holds."""
    if not condition:
        raise Reject(f"The output gate stopped the result: {otherwise}.")
