"""A corrected mask as a DICOM Segmentation of its own: it names its predecessor and the people behind it."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from services.errors import Reject
from services.results.answer import MANUFACTURER, Answer, Label, Predecessor
from services.results.equipment import LONG_STRING, algorithm_identification, coded, complete, equipment, part10
from services.results.iod import missing_attributes
from services.results.sources import for_writer
from services.results.uids import derive_uid
from services.review.mask_seg import read_segmentation
from services.review.masks import Grid, InvalidMask

SERIES_NUMBER = 9101
NOTICE = "Research use only. Expert annotation. Not for diagnosis."
_SHORT_TEXT = 1024

ROLES = {"A": "annotator", "B": "annotator", "reviewer": "reviewer", "arbiter": "arbiter", "accepted": "accepted by"}


@dataclass(frozen=True, eq=False)
class Correction:
    """An accepted mask and where it comes from.

    Attributes:
        answer: the model's answer that was corrected, with the accepted mask as its segmentation.
        grid: of the source images.
        mask_digest: of the mask.
        people: slot and account of who drew, and who accepted.
        predecessor: the Segmentation it replaces, or None.
        unchanged: accepted exactly as the model drew it.
    """

    answer: Answer
    grid: Grid
    mask_digest: str
    people: tuple[tuple[str, str], ...]
    predecessor: Predecessor | None
    unchanged: bool

    def uid(self, role: str) -> str:
        """The same for the same mask of the same people: a retry writes the same object."""
        names = [f"{slot}={account}" for slot, account in self.people]
        return derive_uid(role, self.answer.input_digest, self.mask_digest, *names)


def encode_correction(correction: Correction) -> tuple[Dataset, bytes]:
    """The object and its Part 10 file, read back and compared before anybody gets it.

    Raises:
        Reject: nothing is marked, or what was written is not what was meant.
    """
    answer = correction.answer
    if not answer.segments:
        raise Reject("The accepted mask marks nothing; a DICOM Segmentation of nothing does not exist.")
    try:
        with disable_value_validation():  # a warning about what a source image carries would quote it
            dataset = _write(correction)
            data = part10(dataset)
    except Exception as error:
        raise Reject(f"The correction cannot be written as DICOM ({type(error).__name__}).") from error
    _check(correction, data)
    return dataset, data


def _write(correction: Correction) -> Dataset:
    answer = correction.answer
    names = list(dict.fromkeys(account for _, account in correction.people))
    segmentation = Segmentation(
        source_images=for_writer(answer.sources),
        pixel_array=_segment_numbers(answer),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(correction, number, label) for number, label in answer.segments.items()],
        series_instance_uid=correction.uid("correction-series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=correction.uid("correction-instance"),
        instance_number=1,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=True,
        content_label="CORRECTED",
        content_description=NOTICE,
        content_creator_name=f"{names[0] if names else MANUFACTURER}^",
        series_description=f"{MANUFACTURER} {answer.model.name[:10]} corrected SEG. Not for diagnosis."[:LONG_STRING],
        **equipment(answer),
    )
    organization = correction.uid("dimension-organization")
    segmentation.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization
    for index in segmentation.DimensionIndexSequence:
        index.DimensionOrganizationUID = organization
    complete(segmentation, answer)
    segmentation.OperatorsName = names
    segmentation.DerivationDescription = describe_people(correction)[:_SHORT_TEXT]
    if correction.predecessor is not None:
        _refer(segmentation, correction.predecessor)
    return segmentation


def describe_people(correction: Correction) -> str:
    """Who did what, in one sentence."""
    drew = [f"{account} ({ROLES[slot]})" for slot, account in correction.people if slot != "accepted"]
    accepted = [account for slot, account in correction.people if slot == "accepted"]
    way = "Accepted unchanged" if correction.unchanged else "Corrected"
    return f"{way} by {', '.join(drew) or 'nobody'}; accepted by {', '.join(accepted) or 'nobody'}."


def _refer(segmentation: Dataset, predecessor: Predecessor) -> None:
    """Name the object it was made from (General Reference, C.12.4), and its series (Common Instance Reference)."""
    item = Dataset()
    item.ReferencedSOPClassUID = predecessor.sop_class_uid
    item.ReferencedSOPInstanceUID = predecessor.sop_instance_uid
    segmentation.SourceInstanceSequence = [item]
    instance = Dataset()
    instance.ReferencedSOPClassUID = predecessor.sop_class_uid
    instance.ReferencedSOPInstanceUID = predecessor.sop_instance_uid
    series = Dataset()
    series.ReferencedInstanceSequence = [instance]
    series.SeriesInstanceUID = predecessor.series_uid
    segmentation.ReferencedSeriesSequence.append(series)


def _segment_numbers(answer: Answer) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    table = np.zeros(256, np.uint8)
    for number, label in answer.segments.items():
        table[label.value] = number
    return table[answer.segmentation]


def _describe(correction: Correction, number: int, label: Label) -> SegmentDescription:
    answer = correction.answer
    description = SegmentDescription(
        segment_number=number,
        segment_label=label.name,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=coded(label.code),
        algorithm_type=SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=algorithm_identification(answer),
        # The finding is the predecessor's, so its tracking goes on.
        tracking_uid=answer.uids.tracking(label.name),
        tracking_id=f"{answer.algorithm_name} {label.name}",
        anatomic_regions=[coded(answer.site)],
        display_color=CIELabColor.from_rgb(*label.colour),
    )
    description.SegmentDescription = f"{label.code.meaning}. {NOTICE}"
    return description


def _check(correction: Correction, data: bytes) -> None:
    """What was written says what was meant: complete, every voxel in its place, predecessor and people named."""
    answer = correction.answer
    with disable_value_validation():
        dataset = dcmread(BytesIO(data))
    missing = missing_attributes(dataset)
    if missing:
        raise Reject(f"The written correction lacks {', '.join(missing)}.")
    try:
        back = read_segmentation(data, correction.grid, study_uid=str(answer.sources[0].StudyInstanceUID))
    except InvalidMask as error:
        raise Reject(f"The written correction cannot be read back: {error}") from error
    if not np.array_equal(back.segments, _segment_numbers(answer)):
        raise Reject("The written correction does not hold the accepted voxels.")
    if correction.predecessor is not None and correction.predecessor.sop_instance_uid not in back.references:
        raise Reject("The written correction does not name its predecessor.")
