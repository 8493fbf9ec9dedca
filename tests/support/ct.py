"""A small synthetic CT series with awkward geometry: tilted, unevenly spaced, in any order. Made by pydicom alone."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from services.results.uids import derive_uid

TILT_DEG = 18.5
GAPS_MM = (2.5, 2.5, 2.5, 2.6, 5.0, 5.0, 4.9, 5.0, 7.5)
STUDY_UID = derive_uid("test-study")


def tilted_ct(
    *,
    shape: tuple[int, int, int] = (10, 64, 64),
    gaps_mm: Sequence[float] = GAPS_MM,
    tilt_deg: float = TILT_DEG,
    turn_deg: float = 0.0,
    flipped: bool = False,
    spacing_mm: tuple[float, float] = (3.2, 3.1),
    seed: int = 7,
    name: str = "Demo^Tilted",
) -> list[Dataset]:
    """A series sorted along the slice normal. The table moves along z while the gantry is tilted, so slices shear.

    Args:
        shape: (slices, rows, columns).
        gaps_mm: table movement between neighbours, one fewer than slices.
        tilt_deg: of the gantry, about the row direction.
        turn_deg: of the patient on the table, about its long axis and again about the vertical: slices lie oblique.
        flipped: rows run the other way, so the slice normal points to the feet.
        spacing_mm: (between rows, between columns).
    """
    slices, rows, columns = shape
    tilt, turn = np.deg2rad(tilt_deg), np.deg2rad(turn_deg)
    cosine, sine = np.cos(turn), np.sin(turn)
    about_z = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    about_y = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    turned = about_y @ about_z
    row = turned @ np.array([-1.0 if flipped else 1.0, 0.0, 0.0])
    column = turned @ np.array([0.0, np.cos(tilt), -np.sin(tilt)])
    orientation = [*row, *column]
    way_mm = np.concatenate([[0.0], np.cumsum(gaps_mm)])[:slices] * (-1.0 if flipped else 1.0)
    positions_mm = np.array([-97.5, -90.25, 12.0]) + way_mm[:, None] * (turned @ np.array([0.0, 0.0, 1.0]))
    random = np.random.default_rng(seed)
    series_uid = derive_uid("test-series", str(shape), str(tuple(gaps_mm)), str((tilt_deg, turn_deg, flipped, seed)))
    datasets = []
    for index in range(slices):
        dataset = Dataset()
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = derive_uid("test-instance", series_uid, str(index))
        dataset.StudyInstanceUID = STUDY_UID
        dataset.SeriesInstanceUID = series_uid
        dataset.FrameOfReferenceUID = derive_uid("test-frame", series_uid)
        dataset.PositionReferenceIndicator = ""
        dataset.PatientName, dataset.PatientID = name, "NJ-TEST-1"
        dataset.PatientBirthDate, dataset.PatientSex = "19500101", "O"
        dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260102", "030405", "1"
        dataset.AccessionNumber, dataset.ReferringPhysicianName = "A1", ""
        dataset.Modality, dataset.Manufacturer = "CT", "Nightjar tests"
        dataset.SeriesNumber, dataset.InstanceNumber = 2, index + 1
        dataset.SeriesDescription, dataset.ImageType = "Head 5 mm", ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.AcquisitionNumber, dataset.KVP = 1, 120
        dataset.ImagePositionPatient = [f"{value:.7g}" for value in positions_mm[index]]
        dataset.ImageOrientationPatient = [format_number_as_ds(float(value)) for value in orientation]
        dataset.PixelSpacing = [f"{value:.6g}" for value in spacing_mm]
        dataset.SliceThickness = "2.5"
        dataset.GantryDetectorTilt = f"{tilt_deg:.6g}"
        dataset.Rows, dataset.Columns = rows, columns
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "HU"
        dataset.PixelData = random.integers(-1000, 1000, (rows, columns), dtype=np.int16).tobytes()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        datasets.append(dataset)
    return datasets


def multi_frame(datasets: Sequence[Dataset]) -> Dataset:
    """Classic instances as the frames of one Enhanced CT (PS3.3 A.38), in the order given."""
    first = datasets[0]
    image = Dataset()
    for element in first:
        if element.keyword not in _OF_A_FRAME:
            image.add(element)
    image.SOPClassUID = EnhancedCTImageStorage
    image.SOPInstanceUID = derive_uid("test-multi-frame", *(dataset.SOPInstanceUID for dataset in datasets))
    image.InstanceNumber, image.NumberOfFrames = 1, len(datasets)
    shared = item(
        PlaneOrientationSequence=item(ImageOrientationPatient=first.ImageOrientationPatient),
        PixelMeasuresSequence=item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness),
        PixelValueTransformationSequence=item(
            RescaleSlope=first.get("RescaleSlope", 1), RescaleIntercept=first.get("RescaleIntercept", 0)
        ),
    )
    image.SharedFunctionalGroupsSequence = [shared]
    image.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=item(ImagePositionPatient=dataset.ImagePositionPatient),
            FrameContentSequence=item(DimensionIndexValues=[number], FrameAcquisitionNumber=1),
        )
        for number, dataset in enumerate(datasets, start=1)
    ]
    image.PixelData = b"".join(dataset.PixelData for dataset in datasets)
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


_OF_A_FRAME = {
    "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "SliceThickness", "RescaleSlope", "RescaleIntercept", "RescaleType", "PixelData",
}  # fmt: skip


def item(**values: object) -> Dataset:
    """A data set; what is one itself becomes a sequence of it."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, [value] if isinstance(value, Dataset) else value)
    return made


def as_bytes(dataset: Dataset) -> bytes:
    """Part 10 bytes of one instance."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def blobs(shape: tuple[int, int, int], labels: Sequence[int]) -> NDArray[np.uint8]:
    """One box a label, each over other slices, so some frames are empty for each; axes (slice, row, column)."""
    array = np.zeros(shape, dtype=np.uint8)
    slices, rows, columns = shape
    for place, value in enumerate(labels):
        start = place % max(slices - 1, 1)
        top, left = (5 + 9 * place) % (rows // 2), (3 + 7 * place) % (columns // 2)
        array[start : start + 3, top : top + rows // 6 + place, left : left + columns // 4] = value
    return array
