"""Coded concepts: a code the standard knows keeps its standard meaning; any other one is taken out."""

from functools import cache
from typing import Final, cast

from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

_REMOVED: Final = ("REMOVED", "99NIGHTJAR", "Removed")
_PARTS: Final = frozenset(
    {"CodeValue", "LongCodeValue", "URNCodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning"}
)


@cache
def _meanings() -> dict[tuple[str, str], str]:
    found = {
        (scheme, code): meaning
        for scheme, by_keyword in concepts.items()
        for codes in by_keyword.values()
        for code, (meaning, _) in cast(dict[str, tuple[str, list[int]]], codes).items()
    }
    for code, new in mapping.get("SRT", {}).items():
        if ("SCT", new) in found:
            found["SRT", code] = found["SCT", new]
    return found


def is_code(item: Dataset) -> bool:
    """Whether an item is a coded concept (PS3.3 Table 8.8-1)."""
    return "CodingSchemeDesignator" in item and ("CodeValue" in item or "LongCodeValue" in item)


def is_code_part(keyword: str) -> bool:
    return keyword in _PARTS


def clean_code(item: Dataset) -> bool:
    """Put the standard's own words in the place of a coded concept's, or take the concept out; whether it is known."""
    value = str(item.get("CodeValue") or item.get("LongCodeValue") or "").strip()
    scheme = str(item.get("CodingSchemeDesignator") or "").strip()
    meaning = _meanings().get((scheme, value))
    for keyword in _PARTS:
        if keyword in item:
            delattr(item, keyword)
    if meaning is None:
        value, scheme, meaning = _REMOVED
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning[:64]
    return meaning != _REMOVED[2]
