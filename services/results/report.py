"""A model's findings as a TID 1500 Measurement Report (PS3.16) in a Comprehensive SR, the class most systems read.

Each finding is one measurement group: what, where, volume in millilitres (UCUM), probability from 0 to 1
(DCM 122157, unit 1), priority as on the worklist, the algorithm, and the same tracking UID as its segment.
Without a finding one group says that no flag was raised, which is no statement about the patient.

Codes of Nightjar's own (scheme 99NIGHTJAR): FLAG "Flag", NOFLAG "No flag raised".
"""

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageContentItem,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    UIDRefContentItem,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from models.prediction import Finding, Urgency
from services.results.answer import MANUFACTURER, NO_FLAG, NOTICE, Answer, Predecessor
from services.results.equipment import (
    ARTIFICIAL_INTELLIGENCE,
    coded,
    complete,
    equipment,
    series_description,
)
from services.results.segmentation import tracking_id
from services.results.sources import for_writer
from services.results.uids import device_uid

SERIES_NUMBER = 9002
SCHEME = "99NIGHTJAR"
FLAG = CodedConcept("FLAG", SCHEME, "Flag")
NO_FLAG_CODE = CodedConcept("NOFLAG", SCHEME, NO_FLAG)
VOLUME = CodedConcept("118565006", "SCT", "Volume")
MILLILITRE = CodedConcept("mL", "UCUM", "mL")
PROBABILITY = CodedConcept("122157", "DCM", "Probability")
UNITY = CodedConcept("1", "UCUM", "no units")
PRIORITY = CodedConcept("260870009", "SCT", "Priority")
PRIORITIES = {
    Urgency.IMMEDIATE: CodedConcept("88694003", "SCT", "Immediate"),
    Urgency.URGENT: CodedConcept("103391001", "SCT", "Urgent"),
    Urgency.STANDARD: CodedConcept("50811001", "SCT", "Routine"),
}
SOURCE = CodedConcept("260753009", "SCT", "Source")
QUALITATIVE_EVALUATIONS = CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")


def encode_report(answer: Answer, segmentation: Dataset | None) -> Dataset:
    """Write the findings, each on its segment of `segmentation` where it has voxels there."""
    groups = [_finding_group(answer, finding, segmentation) for finding in answer.findings]
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(answer)),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=groups or [_no_flag_group(answer)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    items = content[0].ContentSequence
    items.insert(len(items) - 1, _image_library(answer))
    items.append(_words(answer))
    report = ComprehensiveSR(
        evidence=[*for_writer(answer.sources), *([segmentation] if segmentation is not None else [])],
        content=content[0],
        series_instance_uid=answer.uids.report_series(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=answer.uids.report_instance(),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=[_reference(document) for document in answer.predecessors] or None,
        coding_schemes=None if groups else [_coding_scheme()],
        series_description=series_description(answer, "SR"),
        **equipment(answer),
    )
    complete(report, answer)
    return report


def _finding_group(
    answer: Answer, finding: Finding, segmentation: Dataset | None
) -> VolumetricROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations:
    number = next((number for number, label in answer.segments.items() if label.name == finding.label), None)
    common = {
        "tracking_identifier": TrackingIdentifier(
            uid=answer.uids.tracking(finding.label), identifier=tracking_id(answer, finding.label)
        ),
        "finding_category": codes.SCT.MorphologicallyAbnormalStructure,
        "finding_type": coded(answer.label(finding.label).code),
        "finding_sites": [FindingSite(coded(answer.site))],
        "algorithm_id": _algorithm(answer),
        "measurements": [
            Measurement(VOLUME, round(finding.volume_ml, 3), MILLILITRE),
            Measurement(PROBABILITY, round(finding.probability, 4), UNITY),
        ],
        "qualitative_evaluations": [QualitativeEvaluation(PRIORITY, PRIORITIES[finding.urgency])],
    }
    if segmentation is None or number is None:
        key_image = answer.sources[finding.key_slice]
        return MeasurementsAndQualitativeEvaluations(
            source_images=[SourceImageForMeasurementGroup(key_image.SOPClassUID, key_image.SOPInstanceUID)], **common
        )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            number,
            source_series=SourceSeriesForSegmentation(answer.sources[0].SeriesInstanceUID),
        ),
        **common,
    )


def _no_flag_group(answer: Answer) -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=answer.uids.tracking("no flag"), identifier=tracking_id(answer, "no flag")
        ),
        algorithm_id=_algorithm(answer),
        qualitative_evaluations=[QualitativeEvaluation(FLAG, NO_FLAG_CODE)],
    )


def _image_library(answer: Answer) -> ContainerContentItem:
    """TID 1600 without the descriptors of each image, which the images themselves carry: they would take seconds."""
    group = ContainerContentItem(codes.DCM.ImageLibraryGroup, relationship_type=RelationshipTypeValues.CONTAINS)
    frame_of_reference = UIDRefContentItem(
        codes.DCM.FrameOfReferenceUID,
        answer.sources[0].FrameOfReferenceUID,
        RelationshipTypeValues.HAS_ACQ_CONTEXT,
    )
    images = [
        ImageContentItem(
            SOURCE, source.SOPClassUID, source.SOPInstanceUID, relationship_type=RelationshipTypeValues.CONTAINS
        )
        for source in answer.sources
    ]
    group.ContentSequence = ContentSequence([frame_of_reference, *images])
    library = ContainerContentItem(codes.DCM.ImageLibrary, relationship_type=RelationshipTypeValues.CONTAINS)
    library.ContentSequence = ContentSequence([group])
    return library


def _words(answer: Answer) -> ContainerContentItem:
    """Qualitative Evaluations of TID 1500: what every reader of the report must see, in words."""
    sentences = [NOTICE]
    if not answer.findings:
        sentences.insert(
            0,
            f"{NO_FLAG} by {answer.algorithm_name} {answer.model.version}. "
            "This says nothing about what it does not look for or overlooked; the study needs its ordinary reading.",
        )
    container = ContainerContentItem(QUALITATIVE_EVALUATIONS, relationship_type=RelationshipTypeValues.CONTAINS)
    container.ContentSequence = ContentSequence(
        [TextContentItem(codes.DCM.Comment, text, RelationshipTypeValues.CONTAINS) for text in sentences]
    )
    return container


def _coding_scheme() -> CodingSchemeIdentificationItem:
    return CodingSchemeIdentificationItem(SCHEME, name="Nightjar codes", responsible_organization=MANUFACTURER)


def _algorithm(answer: Answer) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        name=answer.algorithm_name,
        version=answer.model.version,
        parameters=[f"{name}={value}" for name, value in answer.algorithm_parameters.items()],
        family=ARTIFICIAL_INTELLIGENCE,
        manufacturer=MANUFACTURER,
    )


def _observer(answer: Answer) -> ObserverContext:
    return ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=device_uid(answer.model),
            name=answer.algorithm_name,
            manufacturer_name=MANUFACTURER,
            model_name=answer.algorithm_name,
            serial_number=answer.model.weights_digest[:16],
        ),
    )


def _reference(document: Predecessor) -> Dataset:
    reference = Dataset()
    reference.StudyInstanceUID = document.study_uid
    reference.SeriesInstanceUID = document.series_uid
    reference.SOPClassUID = document.sop_class_uid
    reference.SOPInstanceUID = document.sop_instance_uid
    return reference
