"""A model's voxels as a DICOM Segmentation (PS3.3 A.51) on exactly the source images' own slices."""

from collections.abc import Mapping

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from services.results.answer import MANUFACTURER, NOTICE, Answer, Label
from services.results.equipment import (
    algorithm_identification,
    coded,
    complete,
    equipment,
    series_description,
)
from services.results.frames import point_back, stand_ins

SERIES_NUMBER = 9001


def encode_segmentation(answer: Answer) -> Dataset | None:
    """Write the labels' voxels as one BINARY segment a label, frames without voxels left out.

    Returns:
        None when no label has a voxel: a BINARY Segmentation of nothing does not exist, and the report says it.
    """
    segments = answer.segments
    if not segments:
        return None
    segmentation = Segmentation(
        source_images=stand_ins(answer.sources),
        pixel_array=segment_numbers(answer.segmentation, segments),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(answer, number, label) for number, label in segments.items()],
        series_instance_uid=answer.uids.segmentation_series(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=answer.uids.segmentation_instance(),
        instance_number=1,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=True,
        content_label=MANUFACTURER.upper(),
        content_description=NOTICE,
        content_creator_name=f"{MANUFACTURER}^{answer.model.name}",
        series_description=series_description(answer, "SEG"),
        **equipment(answer),
    )
    point_back(segmentation, answer.sources)
    settle_dimensions(segmentation, answer.uids.dimension_organization())
    complete(segmentation, answer.sources[0], answer.analysed_at)
    return segmentation


def segment_numbers(voxels: NDArray[np.uint8], segments: Mapping[int, Label]) -> NDArray[np.uint8]:
    """An array of labels with each label's value replaced by the number of its segment, 0 for none."""
    numbers = np.zeros(256, dtype=np.uint8)
    for number, label in segments.items():
        numbers[label.value] = number
    return numbers[voxels]


def settle_dimensions(segmentation: Segmentation, organization_uid: str) -> None:
    """Give the dimensions a derived UID in place of highdicom's drawn one, so that a retry writes the same bytes."""
    segmentation.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization_uid
    for index in segmentation.DimensionIndexSequence:
        index.DimensionOrganizationUID = organization_uid


def _describe(answer: Answer, number: int, label: Label) -> SegmentDescription:
    site = coded(answer.site)
    description = SegmentDescription(
        segment_number=number,
        segment_label=label.name,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=coded(label.code),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm_identification(answer.model, answer.algorithm_parameters),
        tracking_uid=answer.uids.tracking(label.name),
        tracking_id=tracking_id(answer, label.name),
        anatomic_regions=[site],
        display_color=CIELabColor.from_rgb(*label.colour),
    )
    description.SegmentDescription = f"Suspected {label.code.meaning.lower()}. {NOTICE}"
    return description


def tracking_id(answer: Answer, label: str) -> str:
    """Tracking ID for people: the model and the label."""
    return f"{answer.algorithm_name} {label}"
