"""Images of an imported case as DICOM, so that they come in as any others do. The same file gives the same objects."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from models.nifti import read_nifti
from models.volume import Volume
from services.datasets.importing.tree import ImportedCase

DESCRIPTIONS: Final = {
    "NCCT": "Head without contrast",
    "CTA": "CTA head",
    "DWI": "DWI b1000 trace",
    "ADC": "ADC",
    "FLAIR": "FLAIR",
    "T1": "T1",
    "T1c": "T1 contrast",
    "T2": "T2",
}
"""What routing takes each role's series for. Perfusion is left out: it has four dimensions, or is a map."""

_CT: Final = frozenset({"NCCT", "CTA"})
_STORED: Final = 32000
_TIMES: Final = {"EchoTime": 1000.0, "RepetitionTime": 1000.0, "InversionTime": 1000.0, "MagneticFieldStrength": 1.0}
"""Of the BIDS sidecar, and what makes its unit DICOM's."""


def derived_uid(*parts: str) -> str:
    """A 2.25 UID that belongs to these words."""
    return f"2.25.{UUID(bytes=sha256(chr(0).join(parts).encode()).digest()[:16], version=5).int}"


def write_objects(case: ImportedCase, dataset: str, folder: Path) -> dict[str, str]:
    """Write every image that routing has a role for; Series Instance UIDs by role.

    Args:
        dataset: what the dataset is called; patients are its subjects.

    Raises:
        InvalidVolume: an image cannot be read.
    """
    series = {}
    for number, (role, path) in enumerate(sorted(case.images.items()), 1):
        if role not in DESCRIPTIONS:
            continue
        volume, _ = read_nifti(path)
        uid = derived_uid(dataset, case.name, role, sha256(path.read_bytes()).hexdigest())
        place = folder / case.name / role
        place.mkdir(parents=True)
        for index, instance in enumerate(_instances(volume, role, _sidecar(path)), 1):
            _identify(instance, case, dataset, number, uid, index)
            instance.save_as(place / f"{index:04d}.dcm", enforce_file_format=True)
        series[role] = uid
    return series


def study_uid_of(case: ImportedCase, dataset: str) -> str:
    return derived_uid(dataset, case.name)


def _identify(ds: Dataset, case: ImportedCase, dataset: str, number: int, series_uid: str, index: int) -> None:
    ds.PatientID, ds.PatientName = f"{dataset}:sub-{case.subject}"[:64], f"sub-{case.subject}^"[:64]
    ds.PatientBirthDate, ds.PatientSex, ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "", "", "", "", ""
    ds.StudyDate, ds.StudyTime = "", ""
    ds.StudyDescription = f"Head, imported {case.name}"[:64]
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid_of(case, dataset), series_uid
    ds.FrameOfReferenceUID = derived_uid(dataset, case.name, "frame")
    ds.PositionReferenceIndicator = ""
    ds.SeriesNumber, ds.InstanceNumber = str(number), str(index)
    ds.SOPInstanceUID = derived_uid(series_uid, str(index))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _instances(volume: Volume, role: str, told: Mapping[str, Any]) -> Iterator[Dataset]:
    """One object a slice, inferior to superior, without who it is of."""
    low, high = float(volume.voxels.min()), float(volume.voxels.max())
    whole = np.array_equal(np.rint(volume.voxels), volume.voxels) and max(abs(low), abs(high)) < _STORED
    slope = 1.0 if whole else max(abs(low), abs(high)) / _STORED
    for plane, position, thickness_mm in zip(volume.voxels, volume.positions_mm, volume.slab_mm, strict=True):
        ds = Dataset()
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.SOPClassUID = CTImageStorage if role in _CT else MRImageStorage
        ds.Modality = "CT" if role in _CT else "MR"
        ds.Manufacturer = str(told.get("Manufacturer", ""))[:64]
        ds.ManufacturerModelName = str(told.get("ManufacturersModelName", ""))[:64]
        ds.SeriesDescription, ds.BodyPartExamined = DESCRIPTIONS[role], "HEAD"
        ds.ImageType = ["DERIVED" if role == "ADC" else "ORIGINAL", "PRIMARY", "AXIAL"]
        ds.AcquisitionNumber = "1"
        if role in _CT:
            ds.KVP, ds.RescaleType = "", "HU"
        else:
            ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "RM", "NONE", "", "2D"
            ds.EchoTrainLength = ""
            for keyword, factor in _TIMES.items():
                value = told.get(keyword)
                setattr(ds, keyword, f"{value * factor:.10g}" if isinstance(value, int | float) else "")
        if role == "DWI":
            ds.DiffusionBValue = 1000.0
        if role == "T1c":
            ds.ContrastBolusAgent = "Contrast"
        ds.ImagePositionPatient = [f"{v:.10g}" for v in position]
        ds.ImageOrientationPatient = [f"{v:.10g}" for v in (*volume.row_direction, *volume.column_direction)]
        ds.PixelSpacing = [f"{v:.10g}" for v in volume.spacing_mm]
        ds.SliceThickness = f"{thickness_mm:.10g}"
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows, ds.Columns = plane.shape
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleIntercept, ds.RescaleSlope = "0", f"{slope:.10g}"
        ds.PixelData = np.rint(plane / slope).astype("<i2").tobytes()
        yield ds


def _sidecar(path: Path) -> Mapping[str, Any]:
    """The JSON beside an image; nothing where there is none that can be read."""
    try:
        told = json.loads(path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json").read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
