"""X-Ray Radiation Dose SR (PS3.3 A.35.8) with the CT template (PS3.16 TID 10011)."""

from dataclasses import dataclass
from typing import Literal

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    NumContentItem,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, XRayRadiationDoseSRStorage

from services.demonstration.header import StudyHeader, new_object


@dataclass(frozen=True)
class IrradiationEvent:
    """One exposure: a localiser or an axial acquisition."""

    protocol: str
    series_number: int
    acquisition: Literal["localiser", "sequenced"]
    length_mm: float
    exposure_s: float
    current_ma: float
    ctdi_vol_mgy: float

    @property
    def dlp_mgy_cm(self) -> float:
        return self.ctdi_vol_mgy * self.length_mm / 10.0


def dose_report(
    header: StudyHeader, events: tuple[IrradiationEvent, ...], references: tuple[str, ...], *, series_number: int
) -> Dataset:
    """The report of all irradiation events of a study.

    Args:
        references: SOP Instance UIDs of one image per event, in the order of `events`.
    """
    ds = new_object(
        header,
        sop_class_uid=XRayRadiationDoseSRStorage,
        modality="SR",
        series_number=series_number,
        description=header.plan.scanner.descriptions["dose"],
        instance_number=1,
        delay_s=300.0,
    )
    ds.ReferencedPerformedProcedureStepSequence = Sequence()
    ds.PerformedProcedureCodeSequence = Sequence()
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"
    ds.CurrentRequestedProcedureEvidenceSequence = Sequence([_evidence(header, events, references)])
    root = _report(header, ds, events)
    for element in root:
        ds[element.tag] = element
    return ds


def _evidence(header: StudyHeader, events: tuple[IrradiationEvent, ...], references: tuple[str, ...]) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = header.study_uid
    study.ReferencedSeriesSequence = Sequence()
    for event, reference in zip(events, references, strict=True):
        instance = Dataset()
        instance.ReferencedSOPClassUID = CTImageStorage
        instance.ReferencedSOPInstanceUID = reference
        series = Dataset()
        series.SeriesInstanceUID = header.uid(event.series_number)
        series.ReferencedSOPSequence = Sequence([instance])
        study.ReferencedSeriesSequence.append(series)
    return study


def _report(header: StudyHeader, ds: Dataset, events: tuple[IrradiationEvent, ...]) -> ContainerContentItem:
    scanner = header.plan.scanner
    procedure = _code(
        _dcm("121058", "Procedure reported"), ("77477000", "SCT", "Computed Tomography X-Ray"), "HAS CONCEPT MOD"
    )
    procedure.ContentSequence = _sequence(
        _code(
            CodedConcept("363703001", "SCT", "Has Intent"), ("261004008", "SCT", "Diagnostic Intent"), "HAS CONCEPT MOD"
        )
    )
    scope = _code(_dcm("113705", "Scope of Accumulation"), ("113014", "DCM", "Study"), "HAS OBS CONTEXT")
    scope.ContentSequence = _sequence(_uid("110180", "Study Instance UID", header.study_uid, "HAS PROPERTIES"))
    total = sum(event.dlp_mgy_cm for event in events)
    accumulated = _container("113811", "CT Accumulated Dose Data")
    accumulated.ContentSequence = _sequence(
        _number("113812", "Total Number of Irradiation Events", len(events), ("{events}", "events")),
        _number("113813", "CT Dose Length Product Total", total, ("mGy.cm", "mGy.cm")),
    )
    root = ContainerContentItem(_dcm("113701", "X-Ray Radiation Dose Report"), template_id="10011")
    root.ContentSequence = ContentSequence(
        [
            procedure,
            _code(_dcm("121005", "Observer Type"), ("121007", "DCM", "Device"), "HAS OBS CONTEXT"),
            _uid("121012", "Device Observer UID", header.uid("device", scanner.station), "HAS OBS CONTEXT"),
            _text("121014", "Device Observer Manufacturer", ds.Manufacturer, "HAS OBS CONTEXT"),
            _text("121015", "Device Observer Model Name", scanner.model, "HAS OBS CONTEXT"),
            _text("121016", "Device Observer Serial Number", ds.DeviceSerialNumber, "HAS OBS CONTEXT"),
            scope,
            accumulated,
            *(_acquisition(header, event) for event in events),
            _code(_dcm("113854", "Source of Dose Information"), ("113856", "DCM", "Automated Data Collection")),
        ],
        is_root=False,
    )
    return root


def _acquisition(header: StudyHeader, event: IrradiationEvent) -> ContainerContentItem:
    head = header.plan.anatomy == "head"
    source = _container("113831", "CT X-Ray Source Parameters")
    source.ContentSequence = _sequence(
        _text("113832", "Identification of the X-Ray Source", "A"),
        _number("113733", "KVP", 120, ("kV", "kV")),
        _number("113833", "Maximum X-Ray Tube Current", event.current_ma, ("mA", "mA")),
        _number("113734", "X-Ray Tube Current", event.current_ma, ("mA", "mA")),
    )
    parameters = _container("113822", "CT Acquisition Parameters")
    parameters.ContentSequence = _sequence(
        _number("113824", "Exposure Time", event.exposure_s, ("s", "s")),
        _number("113825", "Scanning Length", event.length_mm, ("mm", "mm")),
        _number("113826", "Nominal Single Collimation Width", 1.25, ("mm", "mm")),
        _number("113827", "Nominal Total Collimation Width", 20, ("mm", "mm")),
        _number("113823", "Number of X-Ray Sources", 1, ("{X-Ray sources}", "X-Ray sources")),
        source,
    )
    kind = {
        "localiser": ("113805", "DCM", "Constant Angle Acquisition"),
        "sequenced": ("113804", "DCM", "Sequenced Acquisition"),
    }[event.acquisition]
    phantom = ("113690", "IEC Head Dosimetry Phantom") if head else ("113691", "IEC Body Dosimetry Phantom")
    dose = _container("113829", "CT Dose")
    dose.ContentSequence = _sequence(
        _number("113830", "Mean CTDIvol", event.ctdi_vol_mgy, ("mGy", "mGy")),
        _code(_dcm("113835", "CTDIw Phantom Type"), (phantom[0], "DCM", phantom[1])),
        _number("113838", "DLP", event.dlp_mgy_cm, ("mGy.cm", "mGy.cm")),
    )
    region = ("69536005", "SCT", "Head") if head else ("818983003", "SCT", "Abdomen")
    container = _container("113819", "CT Acquisition")
    container.ContentSequence = _sequence(
        _text("125203", "Acquisition Protocol", event.protocol),
        _code(_dcm("123014", "Target Region"), region),
        _code(_dcm("113820", "CT Acquisition Type"), kind),
        _uid("113769", "Irradiation Event UID", header.uid("event", event.series_number)),
        parameters,
        dose,
    )
    return container


def _dcm(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "DCM", meaning)


def _sequence(*items: ContentItem) -> ContentSequence:
    return ContentSequence(items, is_root=False)


def _container(value: str, meaning: str) -> ContainerContentItem:
    return ContainerContentItem(_dcm(value, meaning), relationship_type="CONTAINS")


def _text(value: str, meaning: str, text: str, relationship: str = "CONTAINS") -> TextContentItem:
    return TextContentItem(_dcm(value, meaning), text, relationship_type=relationship)


def _uid(value: str, meaning: str, uid: str, relationship: str = "CONTAINS") -> UIDRefContentItem:
    return UIDRefContentItem(_dcm(value, meaning), uid, relationship_type=relationship)


def _number(value: str, meaning: str, number: float, unit: tuple[str, str]) -> NumContentItem:
    return NumContentItem(
        _dcm(value, meaning),
        round(number, 3),
        CodedConcept(unit[0], "UCUM", unit[1]),
        relationship_type="CONTAINS",
    )


def _code(name: CodedConcept, value: tuple[str, str, str], relationship: str = "CONTAINS") -> CodeContentItem:
    return CodeContentItem(name, CodedConcept(*value), relationship_type=relationship)
