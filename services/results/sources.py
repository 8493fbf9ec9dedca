"""Headers of source images in the form results are made from: no pixels, every attribute a result inherits present."""

from collections.abc import Sequence
from copy import copy
from datetime import datetime, timedelta, timezone
from io import BytesIO

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

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
)
_SEXES = ("M", "F", "O")


def read_header(data: bytes) -> Dataset:
    """Header of a Part 10 instance, prepared by `prepare_header`."""
    return prepare_header(dcmread(BytesIO(data), stop_before_pixels=True))


def prepare_header(dataset: Dataset) -> Dataset:
    """A copy with every inherited attribute present, empty where the scanner left it out (they are type 2).

    A Patient's Sex outside the standard's values comes back empty: copying it on would make the result invalid.
    Spacing Between Slices is left out: over uneven slices it would be wrong, and over even ones it is computed.
    """
    header = Dataset()
    header.update({element.tag: element for element in dataset if not element.tag.is_private})
    header.file_meta = dataset.file_meta
    for keyword in _INHERITED:
        if keyword not in header:
            setattr(header, keyword, "")
    if header.PatientSex not in _SEXES:
        _replace(header, "PatientSex", "")
    for keyword in ("PixelData", "SpacingBetweenSlices"):
        if keyword in header:
            delattr(header, keyword)
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
        header = copy(source)
        if not header.get("SliceThickness"):
            _replace(header, "SliceThickness", thickness)
        completed.append(header)
    return tuple(completed)


def _replace(header: Dataset, keyword: str, value: str) -> None:
    """Set an attribute in this copy only: copies of a data set share elements, and assigning changes the element."""
    if keyword in header:
        delattr(header, keyword)
    setattr(header, keyword, value)
