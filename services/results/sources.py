"""Headers of source images in the form results are made from: no pixels, every attribute a result inherits present."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from models.functional_groups import PER_FRAME, SHARED

FRAME = "ReferencedFrameNumber"
"""Where the header of a frame keeps its number (see `services.results.frames`); no image has it at its top."""

TILE = "InStackPositionNumber"
"""Likewise that of a slice of a mosaic."""

_INHERITED = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)
_LEFT_OUT = ("PixelData", "SpacingBetweenSlices", FRAME, TILE, PER_FRAME, SHARED)
_METHODS = {"DeidentificationMethod", "DeidentificationMethodCodeSequence"}
_ANYTHING = re.compile(r".*", re.DOTALL)
_DATE = re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_USABLE = {"PatientSex": re.compile("[MFO]"), "PatientBirthDate": _DATE, "StudyDate": _DATE, "StudyTime": _TIME}


def read_header(data: bytes) -> Dataset:
    """Header of a Part 10 instance, prepared by `prepare_header`."""
    return prepare_header(dcmread(BytesIO(data), stop_before_pixels=True))


def prepare_header(dataset: Dataset) -> Dataset:
    """A copy with every inherited attribute present, empty if need be, and without what no result inherits.

    What no result inherits: pixels, functional groups, private and empty attributes. What a scanner left out or a
    de-identifier overwrote comes back empty (they are type 2): a sex outside the standard's values, or a date that is
    none, would make the result invalid. One that was de-identified without saying how says so.
    Spacing Between Slices is left out: over uneven slices it would be wrong, and over even ones it is computed.
    """
    header = Dataset()
    with disable_value_validation():
        for element in dataset:
            if not element.tag.is_private and not element.is_empty and element.keyword not in _LEFT_OUT:
                header.add(element)
        for keyword in _INHERITED:
            usable = _USABLE.get(keyword, _ANYTHING)
            if keyword not in header or not usable.fullmatch(str(header[keyword].value)):
                replace_in(header, keyword, "")
    if header.get("PatientIdentityRemoved") == "YES" and not (_METHODS & set(header.dir())):
        header.DeidentificationMethod = "Not stated by the source"
    header.file_meta = dataset.file_meta
    return header


def local_time(moment: datetime, source: Dataset) -> datetime:
    """`moment` in the time zone of the study: Timezone Offset From UTC where the source has one, else this machine's.

    Result and source share their study-level dates and so must share a time zone (PS3.3 C.12.1.1.1).
    """
    offset = source.get("TimezoneOffsetFromUTC")
    if not offset:
        return moment.astimezone()
    text = str(offset)
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    return moment.astimezone(timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]))))


def with_thickness(sources: Sequence[Dataset]) -> tuple[Dataset, ...]:
    """The headers, in order of their slices, each with a Slice Thickness: the usual gap where the scanner gave none."""
    if all(source.get("SliceThickness") for source in sources):
        return tuple(sources)
    positions = np.array([source.ImagePositionPatient for source in sources], dtype=np.float64)
    orientation = np.array(sources[0].ImageOrientationPatient, dtype=np.float64)
    gaps = np.abs(np.diff(positions @ np.cross(orientation[:3], orientation[3:])))
    thickness = f"{float(np.median(gaps)) if len(gaps) else 1.0:.6g}"
    completed = []
    for source in sources:
        header = copy_of(source)
        if not header.get("SliceThickness"):
            replace_in(header, "SliceThickness", thickness)
        completed.append(header)
    return tuple(completed)


def for_writer(sources: Sequence[Dataset]) -> list[Dataset]:
    """The headers without the patient's name and the character set, which the finished object is given back.

    highdicom quotes an unusual name in a warning, and refuses character sets in everyday use such as \\ISO 2022 IR 87.
    """
    plain = []
    for source in sources:
        header = copy_of(source)
        replace_in(header, "PatientName", "")
        if "SpecificCharacterSet" in header:
            del header.SpecificCharacterSet
        plain.append(header)
    return plain


def copy_of(source: Dataset) -> Dataset:
    """A data set of its own; `copy.copy` would share the elements' table."""
    header = Dataset()
    header.update(source)
    header.file_meta = source.file_meta
    return header


def replace_in(header: Dataset, keyword: str, value: Any) -> None:
    """Set an attribute in this copy only: copies of a data set share elements, and assigning changes the element."""
    if keyword in header:
        delattr(header, keyword)
    setattr(header, keyword, value)
