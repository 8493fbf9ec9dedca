"""What the ledger needs to know of an instance, read from its encoded data set. Pure; no pixel is decoded."""

import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.filereader import read_dataset, read_sequence_item
from pydicom.tag import BaseTag
from pydicom.uid import UID, AllTransferSyntaxes

from dicom_router.errors import Unreadable
from dicom_router.values import Value, decode_private, decode_text, decode_value

_UID = re.compile(r"[0-9.]{1,64}")
_MAXIMUM_INFLATED = 1 << 30
_PER_FRAME_GROUPS = 0x52009230
_DEFLATED = {"1.2.840.10008.1.2.1.99"}

_PATIENT = {
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_id": "StudyID",
    "description": "StudyDescription",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "referring_physician": "ReferringPhysicianName",
}
_SERIES = {"modality": "Modality", "description": "SeriesDescription", "body_part": "BodyPartExamined"}
_ROUTING = (
    "ImageType", "Manufacturer", "ManufacturerModelName", "ProtocolName", "SequenceName", "ScanningSequence",
    "SequenceVariant", "ScanOptions",
    "MRAcquisitionType", "RepetitionTime", "EchoTime", "InversionTime", "EchoTrainLength", "FlipAngle",
    "DiffusionBValue", "ContrastBolusAgent", "SliceThickness", "SpacingBetweenSlices", "ImageOrientationPatient",
    "ConvolutionKernel", "KVP", "GantryDetectorTilt", "ReconstructionDiameter", "Rows", "Columns", "PixelSpacing",
    "NumberOfFrames", "AcquisitionContrast", "PulseSequenceName", "AcquisitionMatrix", "PercentSampling",
    "PercentPhaseFieldOfView", "InPlanePhaseEncodingDirection",
)  # fmt: skip
_INSTANCE = (
    "ImageType", "InstanceNumber", "AcquisitionNumber", "ImagePositionPatient", "ImageOrientationPatient",
    "SliceLocation", "SliceThickness", "SpacingBetweenSlices", "EchoNumbers", "EchoTime", "DiffusionBValue",
    "TemporalPositionIdentifier", "NumberOfTemporalPositions", "ImagesInAcquisition", "NumberOfSeriesRelatedInstances",
    "NumberOfSlices", "NumberOfFrames", "Rows", "Columns", "FrameOfReferenceUID",
)  # fmt: skip
_OTHER = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
    "SharedFunctionalGroupsSequence", "ContrastBolusAgentSequence",
)  # fmt: skip

# b-values before the standard had an attribute for them: (group, element within the block, private creator).
_PRIVATE_B_VALUE = (
    (0x0019, 0x0C, "SIEMENS MR HEADER"),
    (0x0043, 0x39, "GEMS_PARM_01"),
    (0x2001, 0x03, "Philips Imaging DD 001"),
    (0x0065, 0x09, "Image Private Header"),
)
_BLOCKS = range(0x10, 0x18)

_TAGS = {
    keyword: int(tag_for_keyword(keyword) or 0)
    for keyword in (*_PATIENT.values(), *_SERIES.values(), *_ROUTING, *_INSTANCE, *_OTHER)
}
_WANTED: list[BaseTag | int] = [
    *_TAGS.values(),
    *(group << 16 | block for group, _, _ in _PRIVATE_B_VALUE for block in _BLOCKS),
    *(group << 16 | block << 8 | element for group, element, _ in _PRIVATE_B_VALUE for block in _BLOCKS),
]
# Where an enhanced multi-frame object keeps what a classic one has at its top (PS3.3 C.7.6.16.2).
_GROUPS = {
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "EffectiveEchoTime": "MREchoSequence",
    "RepetitionTime": "MRTimingAndRelatedParametersSequence",
    "DiffusionBValue": "MRDiffusionSequence",
    "PercentSampling": "MRFOVGeometrySequence",
    "PercentPhaseFieldOfView": "MRFOVGeometrySequence",
}

_NOTHING = pydicom.Dataset()


@dataclass(frozen=True)
class Header:
    """An instance's identity and what rules and completeness look at, by DICOM keyword.

    `study` and `description` hold patient data: they go to their columns in the ledger and nowhere else.
    """

    sop_instance_uid: str
    sop_class_uid: str
    study_uid: str
    series_uid: str
    study: Mapping[str, str | None]
    modality: str | None
    description: str | None
    body_part: str | None
    series_number: int | None
    series_attributes: Mapping[str, Value]
    instance_attributes: Mapping[str, Value]


def read_header(data_set: bytes, transfer_syntax_uid: str) -> Header:
    """Read the header of an encoded data set, tolerantly wherever a value does not identify the instance.

    Raises:
        Unreadable: it cannot be parsed, ends too early, or lacks a UID.
    """
    elements = _parse(data_set, transfer_syntax_uid)
    charset = decode_value("CS", elements.raw("SpecificCharacterSet"), ())
    charsets = tuple(map(str, charset)) if isinstance(charset, list) else (str(charset),) if charset else ()

    def text(keyword: str) -> str | None:
        return decode_text(elements.raw(keyword), charsets) or None

    values: dict[str, Value] = {}
    for keyword in dict.fromkeys((*_ROUTING, *_INSTANCE)):
        value = decode_value(pydicom.datadict.dictionary_VR(_TAGS[keyword]), elements.raw(keyword), charsets)
        if value is not None:
            values[keyword] = value
    values = elements.functional() | values
    if "DiffusionBValue" not in values and (b_value := elements.private_b_value()) is not None:
        values["DiffusionBValue"] = b_value
    if "ContrastBolusAgent" not in values and (agent := elements.contrast_agent()):
        values["ContrastBolusAgent"] = agent
    number = decode_value("IS", elements.raw("SeriesNumber"), ())
    return Header(
        sop_instance_uid=elements.uid("SOPInstanceUID"),
        sop_class_uid=elements.uid("SOPClassUID"),
        study_uid=elements.uid("StudyInstanceUID"),
        series_uid=elements.uid("SeriesInstanceUID"),
        study={column: text(keyword) for column, keyword in _PATIENT.items()},
        **{field: text(keyword) for field, keyword in _SERIES.items()},
        series_number=number if isinstance(number, int) and abs(number) < 1 << 31 else None,
        series_attributes={keyword: values[keyword] for keyword in _ROUTING if keyword in values},
        instance_attributes={keyword: values[keyword] for keyword in _INSTANCE if keyword in values},
    )


class _Elements:
    """The raw elements of one data set.

    Args:
        frame: what the first frame says by itself.
    """

    def __init__(self, parsed: pydicom.Dataset, frame: pydicom.Dataset, *, little_endian: bool) -> None:
        self._parsed, self._frame = parsed, frame
        self._little_endian = little_endian

    def raw(self, keyword: str) -> bytes:
        return self._raw(_TAGS[keyword], pydicom.datadict.dictionary_VR(_TAGS[keyword]))

    def _raw(self, tag: int, representation: str = "UN") -> bytes:
        if tag not in self._parsed:
            return b""
        value = self._parsed.get_item(tag).value
        if not isinstance(value, bytes):
            return b""
        if not self._little_endian and representation in ("US", "SS"):
            return b"".join(value[k : k + 2][::-1] for k in range(0, len(value) - 1, 2))
        if not self._little_endian and representation in ("FD", "FL", "UL"):
            return value[::-1]
        return value

    def uid(self, keyword: str) -> str:
        value = self.raw(keyword).rstrip(b"\x00 ").decode("ascii", "replace")
        if not value:
            raise Unreadable(f"The data set has no {keyword}.")
        if not _UID.fullmatch(value):
            raise Unreadable(f"The data set's {keyword} is not a UID.")
        return value

    def private_b_value(self) -> float | None:
        for group, element, creator in _PRIVATE_B_VALUE:
            for block in _BLOCKS:
                owner = self._raw(group << 16 | block).rstrip(b"\x00 ").decode("ascii", "replace")
                if owner.casefold() == creator.casefold():
                    return decode_private(self._raw(group << 16 | block << 8 | element), ge=creator == "GEMS_PARM_01")
        return None

    def contrast_agent(self) -> str | None:
        """What was given, by its code, which is all that an enhanced object has (Enhanced Contrast/Bolus Module)."""
        try:
            agents = self._parsed.get("ContrastBolusAgentSequence") or ()
            return " ".join(str(agent.get("CodeMeaning") or agent.get("CodeValue") or "") for agent in agents) or None
        except Exception:  # noqa: BLE001 - pydicom raises many kinds; this only helps routing
            return None

    def functional(self) -> dict[str, Value]:
        """Values of an enhanced multi-frame object: those that all frames share, else those of the first frame."""
        found: dict[str, Value] = {}
        if _TAGS["SharedFunctionalGroupsSequence"] not in self._parsed and not self._frame:
            return found
        for keyword, sequence in _GROUPS.items():
            with suppress(Exception):  # pydicom raises many kinds; these values only help routing
                value = self._group(sequence).get(keyword)
                if value is not None:
                    many = isinstance(value, pydicom.multival.MultiValue)
                    name = "EchoTime" if keyword == "EffectiveEchoTime" else keyword
                    found[name] = [float(part) for part in value] if many else float(value)
        with suppress(Exception):
            found |= _phase(self._group("MRFOVGeometrySequence"))
        return found

    def _group(self, sequence: str) -> pydicom.Dataset:
        shared = self._parsed.get("SharedFunctionalGroupsSequence") or ()
        # A series' first frame often has no diffusion weighting, which says nothing of the others.
        places = shared if sequence == "MRDiffusionSequence" else (*shared, self._frame)
        items: pydicom.Dataset = next((place[sequence].value[0] for place in places if place.get(sequence)), _NOTHING)
        return items


def _phase(item: pydicom.Dataset) -> dict[str, Value]:
    """Direction and matrix as a classic image says them."""
    direction = {"ROW": "ROW", "COLUMN": "COL"}.get(str(item.get("InPlanePhaseEncodingDirection") or ""))
    samples = int(item.get("MRAcquisitionFrequencyEncodingSteps") or 0)
    lines = int(item.get("MRAcquisitionPhaseEncodingStepsInPlane") or 0)
    if direction is None:
        return {}
    matrix: list[float] = [0, samples, lines, 0] if direction == "COL" else [samples, 0, 0, lines]
    return {"InPlanePhaseEncodingDirection": direction, "AcquisitionMatrix": matrix}


def _parse(data_set: bytes, transfer_syntax_uid: str) -> _Elements:
    if transfer_syntax_uid not in AllTransferSyntaxes:
        raise Unreadable(f"Transfer syntax {transfer_syntax_uid[:64]} is not known.")
    syntax = UID(transfer_syntax_uid)
    if transfer_syntax_uid in _DEFLATED:
        data_set = _inflate(data_set)
    stream = BytesIO(data_set)
    size = len(data_set)
    truncated = False
    frames_at: int | None = None

    def stop(tag: BaseTag, _: str | None, length: int) -> bool:
        nonlocal truncated, frames_at
        if length != 0xFFFFFFFF and stream.tell() + length > size:
            truncated = True
            return True
        if int(tag) == _PER_FRAME_GROUPS:
            frames_at = stream.tell()
        return int(tag) >= _PER_FRAME_GROUPS

    try:
        parsed = read_dataset(
            stream, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=stop, specific_tags=_WANTED
        )
    except Exception as error:  # pydicom raises many kinds for bytes that are not DICOM
        raise Unreadable(f"The data set cannot be parsed ({type(error).__name__}).") from error
    if truncated:
        raise Unreadable("The data set ends in the middle of an element.")
    frame = _NOTHING if frames_at is None else _first_frame(stream, frames_at, syntax)
    return _Elements(parsed, frame, little_endian=syntax.is_little_endian)


def _first_frame(stream: BytesIO, at: int, syntax: UID) -> pydicom.Dataset:
    """The first item of the functional groups by frame; reading all of them would take too long at receipt."""
    stream.seek(at)
    try:
        return read_sequence_item(stream, syntax.is_implicit_VR, syntax.is_little_endian, "iso8859") or _NOTHING
    except Exception:  # noqa: BLE001 - pydicom raises many kinds; what it says only helps routing
        return _NOTHING


def _inflate(data_set: bytes) -> bytes:
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inflated = inflater.decompress(data_set, _MAXIMUM_INFLATED)
    except zlib.error as error:
        raise Unreadable("The deflated data set cannot be inflated.") from error
    if inflater.unconsumed_tail:
        raise Unreadable(f"The deflated data set is larger than {_MAXIMUM_INFLATED >> 20} MiB.")
    return inflated
