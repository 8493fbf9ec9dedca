"""An expert's label as a DICOM Segmentation of its own: it names its predecessor and the people behind it."""

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
from services.results.answer import MANUFACTURER, Label, Predecessor, weights_of
from services.results.equipment import algorithm_identification, coded, complete, part10
from services.results.frames import point_back, stand_ins
from services.results.iod import missing_attributes
from services.results.segmentation import segment_numbers, settle_dimensions
from services.review.correction import NOTICE, Correction
from services.review.mask_seg import read_segmentation
from services.review.masks import InvalidMask

SERIES_NUMBER = 9101
_SHORT_TEXT = 1024


def encode_segmentation(correction: Correction) -> tuple[Dataset, bytes]:
    """The object and its Part 10 file, read back and compared before anybody gets it.

    Raises:
        Reject: nothing is marked, or what was written is not what was meant.
    """
    if not correction.segments:
        raise Reject("The mask marks nothing; a DICOM Segmentation of nothing does not exist.")
    try:
        with disable_value_validation():  # a warning about what a source image carries would quote it
            dataset = _write(correction)
            data = part10(dataset)
    except Exception as error:
        raise Reject(f"The mask cannot be written as DICOM ({type(error).__name__}).") from error
    _check(correction, data)
    return dataset, data


def _write(correction: Correction) -> Dataset:
    segmentation = Segmentation(
        source_images=stand_ins(correction.sources),
        pixel_array=segment_numbers(correction.mask.labels, correction.segments),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(correction, number, label) for number, label in correction.segments.items()],
        series_instance_uid=correction.uid("correction-series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=correction.uid("correction-instance"),
        instance_number=1,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=True,
        content_label="DRAFT" if correction.is_draft else "CORRECTED",
        content_description=NOTICE,
        content_creator_name=f"{correction.people[0] if correction.people else MANUFACTURER}^",
        series_description=correction.series_description("SEG"),
        **correction.equipment(),
    )
    point_back(segmentation, correction.sources)
    settle_dimensions(segmentation, correction.uid("dimension-organization"))
    complete(segmentation, correction.sources[0], correction.at)
    segmentation.OperatorsName = correction.people
    segmentation.DerivationDescription = correction.describe_people()[:_SHORT_TEXT]
    if correction.segmentation is not None:
        _refer(segmentation, correction.segmentation)
    return segmentation


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


def _describe(correction: Correction, number: int, label: Label) -> SegmentDescription:
    """A segment: semi-automatic, with the model, where an answer was corrected; manual where there was none."""
    model = correction.model
    tracking_uid, tracking_id = correction.tracking(label.name)
    description = SegmentDescription(
        segment_number=number,
        segment_label=label.name,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=coded(label.code),
        algorithm_type=SegmentAlgorithmTypeValues.MANUAL if model is None else SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=None if model is None else algorithm_identification(model, weights_of(model)),
        tracking_uid=tracking_uid,
        tracking_id=tracking_id,
        anatomic_regions=[coded(correction.site)],
        display_color=CIELabColor.from_rgb(*label.colour),
    )
    description.SegmentDescription = f"{label.code.meaning}. {NOTICE}"
    return description


def _check(correction: Correction, data: bytes) -> None:
    """What was written says what was meant: complete, every voxel in its place, predecessor and people named."""
    with disable_value_validation():
        dataset = dcmread(BytesIO(data))
    missing = missing_attributes(dataset)
    if missing:
        raise Reject(f"The written segmentation lacks {', '.join(missing)}.")
    mask = correction.mask
    try:
        back = read_segmentation(data, mask.grid, study_uid=str(correction.sources[0].StudyInstanceUID))
    except InvalidMask as error:
        raise Reject(f"The written segmentation cannot be read back: {error}") from error
    if not np.array_equal(back.segments, segment_numbers(mask.labels, correction.segments)):
        raise Reject("The written segmentation does not hold the mask's voxels.")
    predecessor = correction.segmentation
    if predecessor is not None and predecessor.sop_instance_uid not in back.references:
        raise Reject("The written segmentation does not name its predecessor.")
