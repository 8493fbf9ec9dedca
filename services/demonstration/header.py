"""The modules every object of a demonstration study shares: patient, study, series, equipment (PS3.3 C.7)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from services.demonstration.identifiers import derive_uid
from services.demonstration.plan import PhantomPlan

FIRST_STUDY = datetime(2026, 1, 18, 2, 11, 7)  # a scanner writes its local wall clock
IMPLEMENTATION_CLASS_UID = derive_uid("implementation", "phantom")
MANUFACTURER = "Nightjar Phantom"


@dataclass(frozen=True)
class StudyHeader:
    """Identity of one study: what its objects have in common.

    Attributes:
        number: place of the study in the demonstration set, from 1; numbers and times follow from it.
    """

    plan: PhantomPlan
    seed: int
    number: int

    @property
    def study_uid(self) -> str:
        return self.uid("study")

    @property
    def frame_of_reference_uid(self) -> str:
        return self.uid("frame")

    @property
    def started_at(self) -> datetime:
        return FIRST_STUDY + timedelta(minutes=23 * self.number, seconds=7 * self.number)

    def uid(self, *role: str | int) -> str:
        """UID of an object of this study."""
        return derive_uid("phantom", self.seed, self.plan.name, *role)

    @property
    def age(self) -> str:
        born = datetime.strptime(self.plan.birth_date, "%Y%m%d")
        years = self.started_at.year - born.year
        years -= (self.started_at.month, self.started_at.day) < (born.month, born.day)
        return f"{years:03d}Y"


def new_object(
    header: StudyHeader,
    *,
    sop_class_uid: str,
    modality: str,
    series_number: int,
    description: str,
    instance_number: int,
    delay_s: float,
) -> Dataset:
    """A data set with patient, study, series, equipment and SOP common modules filled in.

    Args:
        delay_s: seconds from the start of the study to this object's content.
    """
    plan, scanner = header.plan, header.plan.scanner
    started, content_at = header.started_at, header.started_at + timedelta(seconds=delay_s)
    series_at = started + timedelta(seconds=40 * series_number)
    ds = Dataset()
    ds.SpecificCharacterSet = scanner.character_set
    ds.SOPClassUID = sop_class_uid
    ds.SOPInstanceUID = header.uid(series_number, instance_number)
    for name, at in (("Study", started), ("Series", series_at), ("Content", content_at)):
        setattr(ds, f"{name}Date", at.strftime("%Y%m%d"))
        setattr(ds, f"{name}Time", at.strftime("%H%M%S.%f"))
    ds.AccessionNumber = f"PH{header.seed:02d}{header.number:05d}"
    ds.Modality = modality
    ds.Manufacturer = MANUFACTURER
    ds.InstitutionName = "Phantom Hospital"
    ds.StationName = scanner.station
    ds.ReferringPhysicianName = "Phantom^Referrer"
    ds.StudyDescription = scanner.protocol
    ds.SeriesDescription = description
    ds.ManufacturerModelName = scanner.model
    ds.PatientName = plan.patient
    ds.PatientID = f"PHANTOM-{header.seed:02d}-{header.number:04d}"
    ds.PatientBirthDate = plan.birth_date
    ds.PatientSex = plan.sex
    ds.PatientAge = header.age
    ds.DeviceSerialNumber = f"PH-{scanner.station}"
    ds.SoftwareVersions = scanner.software
    ds.StudyInstanceUID = header.study_uid
    ds.SeriesInstanceUID = header.uid(series_number)
    ds.StudyID = f"{header.number}"
    ds.SeriesNumber = series_number
    ds.InstanceNumber = instance_number
    return ds


def write_part10(ds: Dataset, path: Path) -> None:
    """Write a Part 10 file, Explicit VR Little Endian."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = UID(ds.SOPClassUID)
    ds.file_meta.MediaStorageSOPInstanceUID = UID(ds.SOPInstanceUID)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    ds.file_meta.ImplementationVersionName = "NIGHTJAR_PHANTOM"
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
