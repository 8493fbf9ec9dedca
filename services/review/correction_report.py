"""An expert's label as a TID 1500 Measurement Report (PS3.16): who drew and accepted what, each label in millilitres.

A Segmentation needs a segment (PS3.3 C.8.20.2), so a label accepted with nothing marked exists as this report alone:
one group says so with a code of Nightjar's own (LABEL "Expert label" = NOTHING "Nothing marked"), and the model's
report that it replaces stands in Predecessor Documents. It stays unverified: accepting a label signs no finding.
"""

from io import BytesIO

from highdicom.sr import (
    CodedConcept,
    ComprehensiveSR,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    QualitativeEvaluation,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from services.errors import Reject
from services.results.answer import Label
from services.results.equipment import coded, complete, part10
from services.results.frames import each_once
from services.results.iod import missing_attributes
from services.results.report_parts import MILLILITRE, SCHEME, VOLUME, image_library, own_codes, reference, words
from services.results.sources import for_writer
from services.review.correction import NOTICE, Correction
from services.review.mask_seg import references_of

SERIES_NUMBER = 9102
EXPERT_LABEL = CodedConcept("LABEL", SCHEME, "Expert label")
NOTHING = CodedConcept("NOTHING", SCHEME, "Nothing marked")

Group = VolumetricROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations


def encode_report(correction: Correction, segmentation: Dataset | None) -> tuple[Dataset, bytes]:
    """The report and its Part 10 file, read back before anybody gets it.

    Args:
        segmentation: the label's own; None when nothing is marked.

    Raises:
        Reject: it cannot be written.
    """
    try:
        with disable_value_validation():
            dataset = _write(correction, segmentation)
            data = part10(dataset)
            back = dcmread(BytesIO(data))
    except Exception as error:
        raise Reject(f"The label cannot be reported as DICOM ({type(error).__name__}).") from error
    missing = missing_attributes(back)
    if missing:
        raise Reject(f"The written report lacks {', '.join(missing)}.")
    if segmentation is not None and segmentation.SOPInstanceUID not in references_of(back):
        raise Reject("The written report does not name its segmentation.")
    return dataset, data


def _write(correction: Correction, segmentation: Dataset | None) -> Dataset:
    first, *others = [_observer(account) for account in correction.people]
    context = ObservationContext(observer_person_context=first)
    for observer in others:
        context.extend(observer)
    content = MeasurementReport(
        observation_context=context,
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=_groups(correction, segmentation),
        title=codes.DCM.ImagingMeasurementReport,
    )[0]
    items = content.ContentSequence
    images = each_once(correction.sources)
    items.insert(len(items) - 1, image_library(images))
    items.append(words(_sentences(correction)))
    replaced = correction.report
    report = ComprehensiveSR(
        evidence=[*for_writer(images), *([segmentation] if segmentation is not None else [])],
        content=content,
        series_instance_uid=correction.uid("correction-report-series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=correction.uid("correction-report"),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=[reference(replaced)] if replaced is not None else None,
        coding_schemes=own_codes(content),
        series_description=correction.series_description("SR"),
        **correction.equipment(),
    )
    complete(report, correction.sources[0], correction.at)
    return report


def _observer(account: str) -> ObserverContext:
    return ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=PersonObserverIdentifyingAttributes(name=f"{account}^"),
    )


def _groups(correction: Correction, segmentation: Dataset | None) -> list[Group]:
    if segmentation is None:
        uid, identifier = correction.tracking("label")
        return [
            MeasurementsAndQualitativeEvaluations(
                tracking_identifier=TrackingIdentifier(uid=uid, identifier=identifier),
                finding_sites=[FindingSite(coded(correction.site))],
                qualitative_evaluations=[QualitativeEvaluation(EXPERT_LABEL, NOTHING)],
            )
        ]
    volumes = correction.mask.volumes_ml()
    return [
        _group(correction, segmentation, number, label, volumes[label.value])
        for number, label in correction.segments.items()
    ]


def _group(
    correction: Correction, segmentation: Dataset, number: int, label: Label, volume_ml: float
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    uid, identifier = correction.tracking(label.name)
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            number,
            source_series=SourceSeriesForSegmentation(correction.sources[0].SeriesInstanceUID),
        ),
        tracking_identifier=TrackingIdentifier(uid=uid, identifier=identifier),
        finding_category=codes.SCT.MorphologicallyAbnormalStructure,
        finding_type=coded(label.code),
        finding_sites=[FindingSite(coded(correction.site))],
        measurements=[Measurement(VOLUME, round(volume_ml, 3), MILLILITRE)],
    )


def _sentences(correction: Correction) -> list[str]:
    looked_for = ", ".join(label.name for label in correction.labels)
    empty = [] if correction.segments else [f"Nothing was marked. Looked for: {looked_for}."]
    return [*empty, correction.describe_people(), NOTICE]
