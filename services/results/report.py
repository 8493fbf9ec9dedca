"""A model's findings as a TID 1500 Measurement Report (PS3.16) in a Comprehensive SR, the class most systems read.

Each finding is one measurement group: what, where, volume in millilitres (UCUM) with its range as measurement
uncertainty (TID 310), ABC/2 as a volume of ellipsoid, probability from 0 to 1 (DCM 122157, unit 1), priority as on the
worklist, the algorithm, and the same tracking UID as its segment. Without a finding one group says that no flag was
raised, which is no statement about the patient. Measurements of the study, such as midline shift, are the last group.

Codes of Nightjar's own (scheme 99NIGHTJAR): FLAG "Flag", NOFLAG "No flag raised", ABC2 "ABC/2", and measures that a
model's card gives such a code.
"""

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementProperties,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    NumContentItem,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from models.prediction import Finding, Urgency
from services.results.answer import MANUFACTURER, NO_FLAG, NOTICE, Answer, StudyMeasurement
from services.results.equipment import (
    ARTIFICIAL_INTELLIGENCE,
    coded,
    complete,
    equipment,
    series_description,
)
from services.results.frames import each_once, frame_of
from services.results.report_parts import MILLILITRE, SCHEME, VOLUME, image_library, own_codes, reference, words
from services.results.segmentation import tracking_id
from services.results.sources import for_writer
from services.results.uids import device_uid

SERIES_NUMBER = 9002
STUDY_GROUP = "study measurements"
FLAG = CodedConcept("FLAG", SCHEME, "Flag")
NO_FLAG_CODE = CodedConcept("NOFLAG", SCHEME, NO_FLAG)
LOWER_UNCERTAINTY = CodedConcept("371885007", "SCT", "-, range of lower measurement uncertainty")
UPPER_UNCERTAINTY = CodedConcept("371886008", "SCT", "+, range of upper measurement uncertainty")
ELLIPSOID_VOLUME = CodedConcept("121221", "DCM", "Volume of ellipsoid")
ABC2 = CodedConcept("ABC2", SCHEME, "ABC/2")
PROBABILITY = CodedConcept("122157", "DCM", "Probability")
UNITY = CodedConcept("1", "UCUM", "no units")
PRIORITY = CodedConcept("260870009", "SCT", "Priority")
PRIORITIES = {
    Urgency.IMMEDIATE: CodedConcept("88694003", "SCT", "Immediate"),
    Urgency.URGENT: CodedConcept("103391001", "SCT", "Urgent"),
    Urgency.STANDARD: CodedConcept("50811001", "SCT", "Routine"),
}
PRESENT, ABSENT = CodedConcept("52101004", "SCT", "Present"), CodedConcept("2667000", "SCT", "Absent")


def encode_report(answer: Answer, segmentation: Dataset | None) -> Dataset:
    """Write the findings, each on its segment of `segmentation` where it has voxels there."""
    groups = [_finding_group(answer, finding, segmentation) for finding in answer.findings] or [_no_flag_group(answer)]
    if answer.measurements:
        groups.append(_study_group(answer))
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(answer)),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    items = content[0].ContentSequence
    images = each_once([*answer.sources, *answer.further])
    items.insert(len(items) - 1, image_library(images))
    items.append(words(_sentences(answer)))
    report = ComprehensiveSR(
        evidence=[*for_writer(images), *([segmentation] if segmentation is not None else [])],
        content=content[0],
        series_instance_uid=answer.uids.report_series(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=answer.uids.report_instance(),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=[reference(document) for document in answer.predecessors] or None,
        coding_schemes=own_codes(content[0]),
        series_description=series_description(answer, "SR"),
        **equipment(answer),
    )
    complete(report, answer.sources[0], answer.analysed_at)
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
        "measurements": _measurements(finding),
        "qualitative_evaluations": [QualitativeEvaluation(PRIORITY, PRIORITIES[finding.urgency])],
    }
    if segmentation is None or number is None:
        key_image = answer.sources[finding.key_slice]
        frame = frame_of(key_image)
        return MeasurementsAndQualitativeEvaluations(
            source_images=[
                SourceImageForMeasurementGroup(
                    key_image.SOPClassUID, key_image.SOPInstanceUID, None if frame is None else [frame]
                )
            ],
            **common,
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


def _measurements(finding: Finding) -> list[Measurement]:
    measurements = [
        Measurement(VOLUME, round(finding.volume_ml, 3), MILLILITRE, properties=_uncertainty(finding)),
        Measurement(PROBABILITY, round(finding.probability, 4), UNITY),
    ]
    if finding.abc2_ml is not None:
        # Not the code of the volume: who looks for that must find the voxels' one.
        measurements.append(Measurement(ELLIPSOID_VOLUME, round(finding.abc2_ml, 3), MILLILITRE, method=ABC2))
    return measurements


def _uncertainty(finding: Finding) -> MeasurementProperties | None:
    """How far down and up the volume's range reaches, in its own unit (highdicom would write it without one)."""
    if finding.volume_range_ml is None:
        return None
    low_ml, high_ml = finding.volume_range_ml
    properties = MeasurementProperties()
    properties.extend(
        NumContentItem(name, round(reach_ml, 3), MILLILITRE, relationship_type=RelationshipTypeValues.HAS_PROPERTIES)
        for name, reach_ml in (
            (UPPER_UNCERTAINTY, high_ml - finding.volume_ml),
            (LOWER_UNCERTAINTY, finding.volume_ml - low_ml),
        )
    )
    return properties


def _study_group(answer: Answer) -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=answer.uids.tracking(STUDY_GROUP), identifier=tracking_id(answer, STUDY_GROUP)
        ),
        finding_sites=[FindingSite(coded(answer.site))],
        algorithm_id=_algorithm(answer),
        measurements=[
            Measurement(
                coded(taken.code),
                round(taken.value, 3),
                CodedConcept(taken.unit, "UCUM", taken.unit),
                finding_sites=None if taken.site is None else [FindingSite(coded(taken.site))],
            )
            for taken in answer.measurements
            if _said(taken) is None
        ],
        qualitative_evaluations=[
            QualitativeEvaluation(coded(taken.code), said)
            for taken in answer.measurements
            if (said := _said(taken)) is not None
        ]
        or None,
    )


def _said(taken: StudyMeasurement) -> CodedConcept | None:
    """What a sign or a choice says; None for a quantity."""
    if taken.answer is not None:
        return coded(taken.answer)
    if taken.is_sign:
        return PRESENT if taken.value else ABSENT
    return None


def _no_flag_group(answer: Answer) -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=answer.uids.tracking("no flag"), identifier=tracking_id(answer, "no flag")
        ),
        algorithm_id=_algorithm(answer),
        qualitative_evaluations=[QualitativeEvaluation(FLAG, NO_FLAG_CODE)],
    )


def _sentences(answer: Answer) -> list[str]:
    if answer.findings:
        return [NOTICE]
    return [
        f"{NO_FLAG} by {answer.algorithm_name} {answer.model.version}. "
        "This says nothing about what it does not look for or overlooked; the study needs its ordinary reading.",
        NOTICE,
    ]


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
