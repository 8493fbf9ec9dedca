"""QIDO-RS query parameters (PS3.18 8.3.4) as conditions of the ledger. Pure.

What is not supported is left out and said in a warning, as the standard asks; what cannot be read is refused.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from services.ledger.holdings import Condition


class InvalidQuery(Exception):
    """A parameter cannot be read; the message is a sentence and quotes no value."""


class Level(IntEnum):
    STUDY = 1
    SERIES = 2
    INSTANCE = 3


@dataclass(frozen=True)
class Query:
    """What is asked for.

    Attributes:
        include: keywords asked for beside the usual ones.
        limit: None when the client sets none.
        warnings: what was not done as asked, a sentence each.
    """

    conditions: tuple[Condition, ...]
    include: tuple[str, ...]
    everything: bool
    limit: int | None
    offset: int
    warnings: tuple[str, ...]


_DATE, _TIME = re.compile(r"\d{8}"), re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_SEVERAL = re.compile(r"[\\,]")


def read_query(parameters: Iterable[tuple[str, str]], level: Level) -> Query:
    """Parameters of a search for studies, series or instances.

    Raises:
        InvalidQuery: a number, date or name of a parameter cannot be read.
    """
    conditions: list[Condition] = []
    include: list[str] = []
    warnings: list[str] = []
    everything = False
    numbers: dict[str, int] = {}
    for name, value in parameters:
        if name in ("limit", "offset"):
            numbers[name] = _number(name, value)
        elif name == "includefield":
            for each in value.split(","):
                everything |= each == "all"
                if each != "all" and (keyword := _keyword(each)) is not None:
                    include.append(keyword)
        elif name == "fuzzymatching":
            if value.lower() != "false":
                warnings.append("Fuzzy matching is not offered; names were matched as written, in either case.")
        elif name != "accept":
            keyword = _keyword(name.split(".")[0])
            key = _KEYS.get(keyword or "")
            if key is None or "." in name or key[0] > level:
                warnings.append(f"{keyword or 'A parameter'} is not matched here and was left out.")
            elif value not in ("", "*"):
                conditions.append(_MATCHERS[key[2]](key[1], value))
            if keyword is not None and "." not in name:
                include.append(keyword)
    return Query(
        conditions=tuple(conditions),
        include=tuple(dict.fromkeys(include)),
        everything=everything,
        limit=numbers.get("limit"),
        offset=numbers.get("offset", 0),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise InvalidQuery(f"{name} is a whole number, zero or more.")
    return int(value)


def _keyword(name: str) -> str | None:
    """The keyword that a parameter names by keyword or by eight hex digits."""
    if _TAG.fullmatch(name):
        return keyword_for_tag(int(name, 16)) or None
    return name if tag_for_keyword(name) is not None else None


def _uids(column: str, value: str) -> Condition:
    return Condition(f"{column} = ANY(%s)", [[uid.strip() for uid in _SEVERAL.split(value)]])


def _codes(column: str, value: str) -> Condition:
    return Condition(f"{column} LIKE ANY(%s)", [[_pattern(code.strip()) for code in _SEVERAL.split(value)]])


def _text(column: str, value: str) -> Condition:
    return Condition(f"{column} LIKE %s", [_pattern(value)])


def _name(column: str, value: str) -> Condition:
    """Any of a name's three groups, or all of it, in either case."""
    groups = f"unnest(string_to_array({column}, '=') || {column})"
    return Condition(f"EXISTS (SELECT FROM {groups} AS name WHERE name ILIKE %s)", [_pattern(value.rstrip("^"))])


def _integer(column: str, value: str) -> Condition:
    text = value.strip()
    if not re.fullmatch(r"[+-]?\d{1,9}", text):
        raise InvalidQuery("A number to match is a whole number.")
    return Condition(f"{column} = %s", [int(text)])


def _modalities(column: str, value: str) -> Condition:
    matched = _codes("held_series.modality", value)
    sql = f"EXISTS (SELECT FROM held_series WHERE held_series.study_uid = {column} AND {matched.sql})"
    return Condition(sql, matched.values)


def _dates(column: str, value: str) -> Condition:
    return _range(column, value.replace(":", "").replace(".", ""), _DATE, "A date is YYYYMMDD, or two with a dash.")


def _times(column: str, value: str) -> Condition:
    """To the second: times are kept as the scanner wrote them, with or without fractions."""
    text = value.replace(":", "")
    low, dash, high = text.partition("-")
    ends = [part.split(".")[0] for part in (low, high)]
    for part in (low, high):
        if part and not _TIME.fullmatch(part):
            raise InvalidQuery("A time is HHMMSS, or two with a dash.")
    seconds = f"rpad(left({column}, 6), 6, '0')"
    first, last = ends[0].ljust(6, "0"), (ends[1] if dash else ends[0]).ljust(6, "9")
    if dash and not ends[0]:
        return Condition(f"{seconds} <= %s", [last])
    if dash and not ends[1]:
        return Condition(f"{seconds} >= %s", [first])
    return Condition(f"{seconds} BETWEEN %s AND %s", [first, last])


def _range(column: str, value: str, form: re.Pattern[str], otherwise: str) -> Condition:
    low, dash, high = value.partition("-")
    if not (low or high) or any(part and not form.fullmatch(part) for part in (low, high)):
        raise InvalidQuery(otherwise)
    if not dash:
        return Condition(f"{column} = %s", [low])
    if not low:
        return Condition(f"{column} <> '' AND {column} <= %s", [high])
    if not high:
        return Condition(f"{column} >= %s", [low])
    return Condition(f"{column} BETWEEN %s AND %s", [low, high])


def _pattern(value: str) -> str:
    """DICOM's wildcards as those of LIKE (PS3.4 C.2.2.2.4)."""
    for literal in ("\\", "%", "_"):
        value = value.replace(literal, f"\\{literal}")
    return value.replace("*", "%").replace("?", "_")


_MATCHERS: dict[str, Callable[[str, str], Condition]] = {
    "uid": _uids,
    "code": _codes,
    "text": _text,
    "name": _name,
    "integer": _integer,
    "modalities": _modalities,
    "date": _dates,
    "time": _times,
}
_NUMBER = (
    "CASE WHEN jsonb_typeof(held_instance.attributes -> 'InstanceNumber') = 'number' "
    "THEN (held_instance.attributes ->> 'InstanceNumber')::numeric END"
)
# Keyword: the level from which on it is known, its column, how it is matched.
_KEYS: dict[str, tuple[Level, str, str]] = {
    "StudyInstanceUID": (Level.STUDY, "study.study_uid", "uid"),
    "PatientName": (Level.STUDY, "study.patient_name", "name"),
    "PatientID": (Level.STUDY, "study.patient_id", "text"),
    "PatientBirthDate": (Level.STUDY, "study.patient_birth_date", "date"),
    "PatientSex": (Level.STUDY, "study.patient_sex", "code"),
    "AccessionNumber": (Level.STUDY, "study.accession_number", "text"),
    "StudyID": (Level.STUDY, "study.study_id", "text"),
    "StudyDescription": (Level.STUDY, "study.description", "text"),
    "StudyDate": (Level.STUDY, "study.study_date", "date"),
    "StudyTime": (Level.STUDY, "study.study_time", "time"),
    "ReferringPhysicianName": (Level.STUDY, "study.referring_physician", "name"),
    "ModalitiesInStudy": (Level.STUDY, "study.study_uid", "modalities"),
    "SeriesInstanceUID": (Level.SERIES, "held_series.series_uid", "uid"),
    "Modality": (Level.SERIES, "held_series.modality", "code"),
    "SeriesDescription": (Level.SERIES, "held_series.description", "text"),
    "SeriesNumber": (Level.SERIES, "held_series.series_number", "integer"),
    "BodyPartExamined": (Level.SERIES, "held_series.body_part", "code"),
    "SOPInstanceUID": (Level.INSTANCE, "held_instance.sop_instance_uid", "uid"),
    "SOPClassUID": (Level.INSTANCE, "held_instance.sop_class_uid", "uid"),
    "InstanceNumber": (
        Level.INSTANCE,
        _NUMBER,
        "integer",
    ),
}
MATCHED: dict[Level, Sequence[str]] = {
    level: [keyword for keyword, key in _KEYS.items() if key[0] <= level] for level in Level
}
"""Keywords that a search at each level matches, for the conformance page's test."""
