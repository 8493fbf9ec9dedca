"""Small DICOM instances for tests of intake: the encoded data set as a sender would put it on the wire."""

from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.543"


def ct(index: int = 0, *, study: int = 1, series: int = 1, size: int = 16, **values: Any) -> Dataset:
    """An axial head CT instance at 5 mm x index; `values` override attributes by keyword, None removes one."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{ROOT}.{study}.{series}.{index + 1}"
    dataset.StudyInstanceUID = f"{ROOT}.{study}"
    dataset.SeriesInstanceUID = f"{ROOT}.{study}.{series}"
    dataset.Modality = "CT"
    dataset.StudyDescription = "Head"
    dataset.SeriesDescription = "Head 5.0 H31s"
    dataset.BodyPartExamined = "HEAD"
    dataset.PatientName = "Test^Müller"
    dataset.PatientID = "T1"
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20260102", "030405", "A1"
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = series, index + 1, 1
    dataset.SliceThickness = "5"
    dataset.ConvolutionKernel = "H31s"
    dataset.ImagePositionPatient = ["-120", "-120", f"{5 * index:g}"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.FrameOfReferenceUID = f"{ROOT}.{study}.9"
    dataset.Rows = dataset.Columns = size
    dataset.PixelSpacing = ["0.5", "0.5"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = bytes([index % 256]) * (size * size * 2)
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def encoded(dataset: Dataset, *, implicit: bool = False, little_endian: bool = True) -> bytes:
    """The data set alone, as it goes over the wire."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little_endian
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def write(dataset: Dataset, path: Path, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> Path:
    """A Part 10 file for a real client to send."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax_uid
    dataset.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    path.write_bytes(buffer.getvalue())
    return path


def data_set_of(file: bytes) -> bytes:
    """The data set's bytes of a Part 10 file."""
    length = int.from_bytes(file[140:144], "little")
    return file[144 + length :]
