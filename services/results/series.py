"""An image a model made, as a derived series of MR Image Storage (PS3.3 A.4): an instance for each source slice."""

from collections.abc import Iterator

import numpy as np
from highdicom import ContributingEquipment
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import DSfloat

from models.enhance.kspace import resize
from services.errors import Reject
from services.results.answer import NOTICE, Answer
from services.results.equipment import LONG_STRING, complete, equipment
from services.results.frames import part_of, refer
from services.results.sources import FRAME, TILE

SERIES_NUMBERS = 9100
"""The derived series of series n has this number plus n."""

TITLE = "AI-enhanced resolution. Not for diagnosis."
"""Begins the Series Description; "enhanced" alone would be read as "after contrast"."""

_LEFT_OUT = frozenset(
    {
        "PixelData",
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
        "SmallestPixelValueInSeries",
        "LargestPixelValueInSeries",
        "IconImageSequence",
        "NumberOfFrames",
        "InstanceCreatorUID",
        "OriginalAttributesSequence",
        "DigitalSignaturesSequence",
        "MACParametersSequence",
        "ReferencedPresentationStateSequence",
        "PerformedProcedureStepID",
        "PerformedProcedureStepDescription",
        # Of an enhanced image, where each frame becomes an image of its own.
        FRAME,
        TILE,
        "DimensionOrganizationSequence",
        "DimensionOrganizationType",
        "DimensionIndexSequence",
        "ConcatenationUID",
        "ConcatenationFrameOffsetNumber",
        "InConcatenationNumber",
        "InConcatenationTotalNumber",
        "SOPInstanceUIDOfConcatenationSource",
    }
)
_REPLACED = (
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "ImageType",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "DeviceSerialNumber",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "ContributingEquipmentSequence",
    "PatientName",
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "ContentDate",
    "ContentTime",
    "SeriesDate",
    "SeriesTime",
)
_OVERLAYS = range(0x6000, 0x6100)
# Type 2 of the MR image and its planes: a source without a value passes on an empty one.
_EMPTY = (
    "MRAcquisitionType",
    "EchoTime",
    "RepetitionTime",
    "EchoTrainLength",
    "ScanOptions",
    "PatientPosition",
    "PositionReferenceIndicator",
    "InstanceNumber",
)
_SHORT_TEXT, _LONG_TEXT = 1024, 10240  # characters of an ST and an LT (PS3.5 6.2)


def encode_series(answer: Answer) -> Iterator[Dataset]:
    """The instances of the derived series, in the order of the source images.

    Raises:
        Reject: the source images are no classic MR images, or the answer holds no image.
    """
    if answer.image is None or len(answer.image) != len(answer.sources):
        raise Reject("The answer holds no image for each of its source images.")
    for source, plane in zip(answer.sources, answer.image, strict=True):
        yield _encode(answer, source, plane)


def stored_values(source: Dataset, plane: NDArray[np.float32], finer: int = 1) -> NDArray[np.uint16 | np.int16]:
    """A plane in the source's units as its own kind of stored values; what does not fit takes the nearest that does.

    Args:
        finer: pixels a side, times those of the plane.
    """
    if finer > 1:
        plane = _interpolate(plane, finer)
    slope, intercept = float(source.get("RescaleSlope") or 1), float(source.get("RescaleIntercept") or 0)
    bits, signed = int(source.BitsStored), int(source.PixelRepresentation) == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    stored = np.clip(np.rint((plane.astype(np.float64) - intercept) / slope), low, high)
    return stored.astype("<i2" if signed else "<u2")


def _interpolate(plane: NDArray[np.float32], finer: int) -> NDArray[np.float32]:
    """So many times the pixels a side, zero-filled in k-space; the first pixel's centre stays where it is."""
    between = plane
    for axis in (0, 1):
        between = resize(between, plane.shape[axis] * finer, axis)
    return np.maximum(between, min(0.0, float(plane.min())))


def _encode(answer: Answer, source: Dataset, plane: NDArray[np.float32]) -> Dataset:
    if source.SOPClassUID not in (MRImageStorage, EnhancedMRImageStorage) or int(source.BitsAllocated) != 16:
        raise Reject("The source images are no MR images of 16 bits; an enhanced series of them cannot be written.")
    dataset = Dataset()
    for element in source:
        if element.keyword not in _LEFT_OUT and element.tag.group not in _OVERLAYS:
            dataset.add(element)
    for keyword in _EMPTY:
        if keyword not in dataset:
            setattr(dataset, keyword, None)
    _identify(dataset, answer, source)
    _derive(dataset, answer, source)
    if answer.finer > 1:
        _forget(dataset, "Rows", "Columns", "PixelSpacing")
        dataset.Rows, dataset.Columns = source.Rows * answer.finer, source.Columns * answer.finer
        dataset.PixelSpacing = [DSfloat(float(v) / answer.finer, auto_format=True) for v in source.PixelSpacing]
    dataset.PixelData = stored_values(source, plane, answer.finer).tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def _identify(dataset: Dataset, answer: Answer, source: Dataset) -> None:
    """What makes it an object of its own: UIDs, series, equipment, dates, file meta information."""
    number = part_of(source)
    instance_uid = answer.uids.enhanced_instance(source.SOPInstanceUID, answer.finer, number)
    own = equipment(answer)
    _forget(dataset, *_REPLACED)
    if number is not None:
        _forget(dataset, "SOPClassUID", "InstanceNumber")
        dataset.SOPClassUID, dataset.InstanceNumber = MRImageStorage, number
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = (
        UID(instance_uid),
        UID(answer.uids.enhanced_series(answer.finer)),
    )
    dataset.SeriesNumber = SERIES_NUMBERS + int(source.get("SeriesNumber") or 0) % 800
    dataset.SeriesDescription = f"{TITLE} {source.get('SeriesDescription') or ''}".strip()[:LONG_STRING]
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    dataset.Manufacturer, dataset.ManufacturerModelName = own["manufacturer"], own["manufacturer_model_name"]
    dataset.SoftwareVersions, dataset.DeviceSerialNumber = own["software_versions"], own["device_serial_number"]
    if own["institution_name"]:
        dataset.InstitutionName = own["institution_name"]
    dataset.ContributingEquipmentSequence = [*_contributors(source), _processing(answer)]
    complete(dataset, answer.sources[0], answer.analysed_at)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, UID(instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta


def _derive(dataset: Dataset, answer: Answer, source: Dataset) -> None:
    """From what, by what, and how it came about."""
    reference = Dataset()
    refer(reference, source)
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator = "121322", "DCM"
    purpose.CodeMeaning = "Source image for image processing operation"
    reference.PurposeOfReferenceCodeSequence = [purpose]
    _forget(dataset, "SourceImageSequence", "DerivationDescription", "ImageComments", "BurnedInAnnotation")
    dataset.SourceImageSequence = [reference]
    parameters = ", ".join(f"{name}={value}" for name, value in answer.algorithm_parameters.items())
    interpolated = f"; interpolated in k-space to {answer.finer} x the pixels a side" if answer.finer > 1 else ""
    dataset.DerivationDescription = (
        f"Frequencies along the phase-encoding axis that were not acquired, estimated by a neural network: "
        f"{answer.algorithm_name} {answer.model.version}{interpolated}, {parameters}"
    )[:_SHORT_TEXT]
    dataset.ImageComments = f"{TITLE} {NOTICE}"[:_LONG_TEXT]
    dataset.BurnedInAnnotation = "NO"


def _forget(dataset: Dataset, *keywords: str) -> None:
    """Take elements out; assigning to one would change the source's header too, which shares it."""
    for keyword in keywords:
        if keyword in dataset:
            delattr(dataset, keyword)


def _contributors(source: Dataset) -> list[Dataset]:
    """Who contributed to the source, and the scanner itself."""
    earlier = list(source.get("ContributingEquipmentSequence") or ())
    versions = source.get("SoftwareVersions") or ()
    scanner = ContributingEquipment(
        manufacturer=str(source.get("Manufacturer") or "Unknown"),
        purpose_of_reference=codes.DCM.AcquisitionEquipment,
        manufacturer_model_name=str(source.get("ManufacturerModelName") or "") or None,
        software_versions=[str(v) for v in ([versions] if isinstance(versions, str) else versions)] or None,
        device_serial_number=str(source.get("DeviceSerialNumber") or "") or None,
        institution_name=str(source.get("InstitutionName") or "") or None,
        station_name=str(source.get("StationName") or "") or None,
    )
    return [*earlier, scanner]


def _processing(answer: Answer) -> Dataset:
    """Algorithm name, version, parameters and weights digest."""
    own = equipment(answer)
    parameters = "; ".join(f"{name}={value}" for name, value in answer.algorithm_parameters.items())
    item: Dataset = ContributingEquipment(
        manufacturer=own["manufacturer"],
        purpose_of_reference=codes.DCM.ProcessingEquipment,
        manufacturer_model_name=own["manufacturer_model_name"],
        software_versions=own["software_versions"],
        device_serial_number=own["device_serial_number"],
        contribution_description=f"{answer.algorithm_name} {answer.model.version}; {parameters}"[:_SHORT_TEXT],
    )
    return item
