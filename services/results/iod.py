"""What a Segmentation, a Comprehensive SR, a Secondary Capture and an MR image must carry to be one.

PS3.3 A.51, A.35.3, A.8.1 and A.4.
"""

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, MRImageStorage, SecondaryCaptureImageStorage, SegmentationStorage

# Type 1: present with a value.
_COMMON_1 = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "InstanceNumber")
_REQUIRED = {
    SegmentationStorage: (
        *_COMMON_1,
        "SeriesNumber",
        "FrameOfReferenceUID",
        "Manufacturer",
        "ManufacturerModelName",
        "DeviceSerialNumber",
        "SoftwareVersions",
        "ContentDate",
        "ContentTime",
        "NumberOfFrames",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "DimensionOrganizationSequence",
        "DimensionIndexSequence",
        "ReferencedSeriesSequence",
        "ImageType",
        "SegmentationType",
        "SegmentSequence",
        "ContentLabel",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "LossyImageCompression",
        "PixelData",
    ),
    ComprehensiveSRStorage: (
        *_COMMON_1,
        "SeriesNumber",
        "ContentDate",
        "ContentTime",
        "CompletionFlag",
        "VerificationFlag",
        "CurrentRequestedProcedureEvidenceSequence",
        "ValueType",
        "ConceptNameCodeSequence",
        "ContinuityOfContent",
        "ContentSequence",
    ),
    SecondaryCaptureImageStorage: (
        *_COMMON_1,
        "SeriesNumber",
        "ConversionType",
        "ContentDate",
        "ContentTime",
        "ImageType",
        "BurnedInAnnotation",
        "SourceImageSequence",
        "DerivationDescription",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "PixelData",
    ),
    MRImageStorage: (
        *_COMMON_1,
        "FrameOfReferenceUID",
        "PixelSpacing",
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "ImageType",
        "ScanningSequence",
        "SequenceVariant",
        "SourceImageSequence",
        "DerivationDescription",
        "ContributingEquipmentSequence",
        "BurnedInAnnotation",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelData",
    ),
}
# Type 2: present, possibly empty.
_COMMON_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "Manufacturer",
)
_PRESENT = {
    SegmentationStorage: (*_COMMON_2, "PositionReferenceIndicator", "ContentDescription", "ContentCreatorName"),
    ComprehensiveSRStorage: (*_COMMON_2, "PerformedProcedureCodeSequence", "ReferencedPerformedProcedureStepSequence"),
    SecondaryCaptureImageStorage: (*_COMMON_2, "PatientOrientation"),
    MRImageStorage: (
        *_COMMON_2,
        "SeriesNumber",
        "PositionReferenceIndicator",
        "SliceThickness",
        "ScanOptions",
        "MRAcquisitionType",
        "EchoTime",
        "EchoTrainLength",
    ),
}
_SEGMENT_REQUIRED = (
    "SegmentNumber",
    "SegmentLabel",
    "SegmentAlgorithmType",
    "SegmentedPropertyCategoryCodeSequence",
    "SegmentedPropertyTypeCodeSequence",
    "TrackingUID",
    "TrackingID",
)
# Type 1C and 3: of a segment that an algorithm had a part in.
_SEGMENT_ALGORITHM = ("SegmentAlgorithmName", "SegmentationAlgorithmIdentificationSequence")
_FRAME_REQUIRED = (
    "FrameContentSequence",
    "PlanePositionSequence",
    "DerivationImageSequence",
)
_SHARED_REQUIRED = ("PixelMeasuresSequence", "PlaneOrientationSequence")


def missing_attributes(dataset: Dataset) -> list[str]:
    """Keywords that are required and absent, or empty where a value is required; with the place for nested ones."""
    sop_class = dataset.SOPClassUID
    missing = _without_value(dataset, _REQUIRED[sop_class], "")
    missing += [keyword for keyword in _PRESENT[sop_class] if keyword not in dataset]
    if sop_class != SegmentationStorage or missing:
        return missing
    for segment in dataset.SegmentSequence:
        missing += _without_value(segment, _SEGMENT_REQUIRED, "SegmentSequence.")
        if segment.get("SegmentAlgorithmType") != "MANUAL":
            missing += _without_value(segment, _SEGMENT_ALGORITHM, "SegmentSequence.")
    shared = dataset.SharedFunctionalGroupsSequence[0]
    missing += _without_value(shared, _SHARED_REQUIRED, "SharedFunctionalGroupsSequence.")
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        missing += _without_value(frame, _FRAME_REQUIRED, "PerFrameFunctionalGroupsSequence.")
        if "SegmentIdentificationSequence" not in shared and "SegmentIdentificationSequence" not in frame:
            missing.append("PerFrameFunctionalGroupsSequence.SegmentIdentificationSequence")
    return list(dict.fromkeys(missing))


def _without_value(dataset: Dataset, keywords: tuple[str, ...], place: str) -> list[str]:
    return [place + keyword for keyword in keywords if dataset.get(keyword) in (None, "", b"", [])]
