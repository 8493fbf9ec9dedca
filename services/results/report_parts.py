"""What the reports of a model and of an expert have in common: codes, image library, words (PS3.16 TID 1500)."""

from collections.abc import Iterable, Sequence

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    CodedConcept,
    ContainerContentItem,
    ContentSequence,
    ImageContentItem,
    RelationshipTypeValues,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from services.results.answer import MANUFACTURER, Predecessor

SCHEME = "99NIGHTJAR"
VOLUME = CodedConcept("118565006", "SCT", "Volume")
MILLILITRE = CodedConcept("mL", "UCUM", "mL")
SOURCE = CodedConcept("260753009", "SCT", "Source")
QUALITATIVE_EVALUATIONS = CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")


def image_library(images: Iterable[Dataset]) -> ContainerContentItem:
    """TID 1600, a group a series, without the images' own descriptors, which would take seconds."""
    series: dict[str, list[Dataset]] = {}
    for image in images:
        series.setdefault(image.SeriesInstanceUID, []).append(image)
    groups = []
    for own in series.values():
        group = ContainerContentItem(codes.DCM.ImageLibraryGroup, relationship_type=RelationshipTypeValues.CONTAINS)
        frame_of_reference = UIDRefContentItem(
            codes.DCM.FrameOfReferenceUID, own[0].FrameOfReferenceUID, RelationshipTypeValues.HAS_ACQ_CONTEXT
        )
        references = [
            ImageContentItem(
                SOURCE, image.SOPClassUID, image.SOPInstanceUID, relationship_type=RelationshipTypeValues.CONTAINS
            )
            for image in own
        ]
        group.ContentSequence = ContentSequence([frame_of_reference, *references])
        groups.append(group)
    library = ContainerContentItem(codes.DCM.ImageLibrary, relationship_type=RelationshipTypeValues.CONTAINS)
    library.ContentSequence = ContentSequence(groups)
    return library


def words(sentences: Sequence[str]) -> ContainerContentItem:
    """Qualitative Evaluations of TID 1500: what every reader of the report must see, in words."""
    container = ContainerContentItem(QUALITATIVE_EVALUATIONS, relationship_type=RelationshipTypeValues.CONTAINS)
    container.ContentSequence = ContentSequence(
        [TextContentItem(codes.DCM.Comment, text, RelationshipTypeValues.CONTAINS) for text in sentences]
    )
    return container


def own_codes(content: Dataset) -> list[CodingSchemeIdentificationItem] | None:
    """The identification of Nightjar's own coding scheme where the content uses it."""
    if not _uses_own_codes(content):
        return None
    return [CodingSchemeIdentificationItem(SCHEME, name="Nightjar codes", responsible_organization=MANUFACTURER)]


def _uses_own_codes(item: Dataset) -> bool:
    return any(
        element.value == SCHEME
        if element.keyword == "CodingSchemeDesignator"
        else element.VR == "SQ" and any(_uses_own_codes(child) for child in element.value)
        for element in item
    )


def reference(document: Predecessor) -> Dataset:
    """An item of Predecessor Documents."""
    item = Dataset()
    item.StudyInstanceUID = document.study_uid
    item.SeriesInstanceUID = document.series_uid
    item.SOPClassUID = document.sop_class_uid
    item.SOPInstanceUID = document.sop_instance_uid
    return item
