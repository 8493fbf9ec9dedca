"""What PS3.15 asks for each attribute: Table E.1-1 of the edition 2026c as data, and one decision for each element.

attributes.csv has one line an attribute: tag (x for any digit), keyword, action of the basic profile, and which of our
options (dates, descriptors) replaces that action.
"""

import csv
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Final

from pydicom.datadict import dictionary_has_tag
from pydicom.tag import BaseTag

EDITION: Final = "2026c"


class Action(StrEnum):
    """What is done with an element. Of texts, numbers and code strings what passes is counted as kept."""

    REMOVE = "removed"
    EMPTY = "emptied"
    DUMMY = "replaced by a dummy"
    UID = "UID replaced"
    SHIFT = "date or time shifted"
    CLEAN = "text cleaned"
    NUMBER = "number removed: an identifier"
    CODE = "code string removed: not known"
    DEVICE = "device text removed: it may name somebody"
    DESCEND = "items cleaned"
    KEEP = "kept"


_DATES = {"DA", "TM", "DT"}
_BY_VR: Final = {
    "PN": Action.EMPTY,
    "AE": Action.EMPTY,
    "AS": Action.REMOVE,
    "DA": Action.SHIFT,
    "TM": Action.SHIFT,
    "DT": Action.SHIFT,
    "LO": Action.CLEAN,
    "SH": Action.CLEAN,
    "ST": Action.CLEAN,
    "LT": Action.CLEAN,
    "UC": Action.CLEAN,
    "UT": Action.CLEAN,
    "UR": Action.REMOVE,
    "CS": Action.CODE,
    "UI": Action.UID,
    "SQ": Action.DESCEND,
    **dict.fromkeys(("AT", "IS", "DS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"), Action.NUMBER),
}
"""For attributes that Table E.1-1 does not list. The standard lets them through; people type into some of them all the
same, so each is treated by what its Value Representation can hold. What is not here (OB, UN, ...) is removed."""

_BINARY: Final = frozenset(
    {
        "PixelData",
        "RedPaletteColorLookupTableData",
        "GreenPaletteColorLookupTableData",
        "BluePaletteColorLookupTableData",
        "LUTData",
    }
)
_DEVICE: Final = frozenset(
    {"Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ConvolutionKernel", "SequenceName", "FilterType",
     "PulseSequenceName", "TransmitCoilName", "ReceiveCoilName", "XRayTubeCurrentInmA", "CTDIPhantomTypeCodeSequence"}
) - {"XRayTubeCurrentInmA", "CTDIPhantomTypeCodeSequence"}  # fmt: skip
_VERBATIM: Final = frozenset({"SpecificCharacterSet", "CodingSchemeDesignator"})


@cache
def _listed() -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    """Action and option by tag, and by tag of repeating groups."""
    text = resources.files(__package__).joinpath("attributes.csv").read_text(encoding="ascii")
    rows = {row["tag"]: (row["basic"], row["option"]) for row in csv.DictReader(text.splitlines())}
    return {tag: row for tag, row in rows.items() if "x" not in tag}, {
        tag: row for tag, row in rows.items() if "x" in tag
    }


def basic_action(tag: BaseTag) -> tuple[str, str] | None:
    """The standard's action and our option for a tag; None where Table E.1-1 does not list it."""
    single, repeating = _listed()
    text = f"{int(tag):08X}"
    if text in single:
        return single[text]
    return next((row for pattern, row in repeating.items() if _matches(text, pattern)), None)


def _matches(text: str, pattern: str) -> bool:
    return all(wanted in ("x", digit) for digit, wanted in zip(text, pattern, strict=True))


def decide(tag: BaseTag, vr: str, keyword: str) -> Action:
    """What is done with a public element.

    Of several allowed actions (X/Z/D) the one that keeps any IOD valid is taken: a dummy before an empty value before
    removal.
    """
    if 0x6000 <= tag.group <= 0x60FF or 0x5000 <= tag.group <= 0x50FF:
        return Action.REMOVE
    listed = basic_action(tag)
    if listed is None:
        return _unlisted(tag, vr, keyword)
    basic, option = listed
    if option == "dates" and vr in _DATES:
        return Action.SHIFT
    if option == "descriptors" and vr in ("LO", "SH", "ST", "LT", "UC", "UT"):
        return Action.CLEAN
    if "U" in basic:
        return Action.DESCEND if vr == "SQ" else Action.UID
    if vr == "SQ":
        return Action.EMPTY if "Z" in basic else Action.REMOVE
    if "D" in basic:
        return Action.DUMMY
    return Action.EMPTY if "Z" in basic else Action.REMOVE


def _unlisted(tag: BaseTag, vr: str, keyword: str) -> Action:
    if not dictionary_has_tag(tag) or tag.element == 0:
        return Action.REMOVE
    if keyword in _BINARY or keyword in _VERBATIM:
        return Action.KEEP
    if keyword in _DEVICE:
        return Action.DEVICE
    return _BY_VR.get(vr, Action.REMOVE)
