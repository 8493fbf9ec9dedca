"""What a sidecar says of an image: the acquisition in BIDS's names and units, from a de-identified header."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset

from services.datasets.release.case import CaseImage

_TEXTS: Final = {
    "Manufacturer": "Manufacturer",
    "ManufacturersModelName": "ManufacturerModelName",
    "SoftwareVersions": "SoftwareVersions",
    "BodyPart": "BodyPartExamined",
    "SequenceName": "SequenceName",
    "ScanningSequence": "ScanningSequence",
    "SequenceVariant": "SequenceVariant",
    "ScanOptions": "ScanOptions",
    "MRAcquisitionType": "MRAcquisitionType",
    "ReceiveCoilName": "ReceiveCoilName",
    "ConvolutionKernel": "ConvolutionKernel",
    "FilterType": "FilterType",
    "SeriesDescription": "SeriesDescription",
    "ProtocolName": "ProtocolName",
    "ImageType": "ImageType",
}
_NUMBERS: Final[dict[str, tuple[str, float]]] = {
    "MagneticFieldStrength": ("MagneticFieldStrength", 1),
    "EchoTime": ("EchoTime", 0.001),
    "RepetitionTime": ("RepetitionTime", 0.001),
    "InversionTime": ("InversionTime", 0.001),
    "FlipAngle": ("FlipAngle", 1),
    "EchoTrainLength": ("EchoTrainLength", 1),
    "PixelBandwidth": ("PixelBandwidth", 1),
    "SliceThickness": ("SliceThickness", 1),
    "SpacingBetweenSlices": ("SpacingBetweenSlices", 1),
    "DiffusionBValue": ("DiffusionBValue", 1),
    "KVP": ("KVP", 1),
    "XRayTubeCurrent": ("XRayTubeCurrent", 1),
    "Exposure": ("Exposure", 1),
    "CTDIvol": ("CTDIvol", 1),
    "GantryDetectorTilt": ("GantryDetectorTilt", 1),
}
"""BIDS's name, ours, and what makes our unit BIDS's: seconds, degrees, mm, tesla; of CT DICOM's own."""


def sidecar(image: CaseImage) -> dict[str, Any]:
    """The content of an image's JSON. Only what the header says."""
    header = image.header
    content: dict[str, Any] = {"Modality": str(header.get("Modality"))}
    for name, keyword in _TEXTS.items():
        value = _value(header, keyword, str)
        if value:
            content[name] = value
    for name, (keyword, factor) in _NUMBERS.items():
        value = _value(header, keyword, float)
        if value is not None:
            content[name] = round(value * factor, 6) if isinstance(value, float) else [v * factor for v in value]
    if header.get("Modality") == "CT":
        content["Units"] = "HU"
    if image.grid.unevenness_mm > 0.05 * float(image.volume.slab_mm.min()):
        # A NIfTI has one step between slices; these have several.
        content["SliceOffsetsMillimetres"] = [
            round(float(mm), 4) for mm in image.volume.offsets_mm - image.volume.offsets_mm[0]
        ]
    content["DeidentificationMethodCodeSequence"] = [
        {"CodeValue": str(item.CodeValue), "CodingSchemeDesignator": "DCM", "CodeMeaning": str(item.CodeMeaning)}
        for item in header.DeidentificationMethodCodeSequence
    ]
    return content


def _value(header: Dataset, keyword: str, kind: Callable[[Any], Any]) -> Any:
    value = header.get(keyword)
    if value is None or value == "":
        return None
    if isinstance(value, str) or not np.iterable(value):
        return kind(value)
    found = [kind(each) for each in value]
    return found[0] if len(found) == 1 else found
