"""One object's attributes, at every depth: each gets the one action the table decides, and each action is counted."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items

from services.datasets.deidentify.codes import clean_code, is_code, is_code_part
from services.datasets.deidentify.moments import shift_element
from services.datasets.deidentify.private import creator_tag, safe_vr
from services.datasets.deidentify.pseudonyms import Pseudonyms, Shift
from services.datasets.deidentify.table import Action, basic_action, decide
from services.datasets.deidentify.words import Identifiers, clean_device_text, clean_text, is_known_code

Counts = Counter[tuple[str, str]]
"""How often what was done: (keyword, action) to a number."""

PRIVATE_KEPT: Final = "safe private kept"
PRIVATE_REMOVED: Final = "private removed"
_TEXTS: Final = frozenset({"LO", "SH", "ST", "LT", "UC", "UT", "AE", "CS"})
_PEOPLE_GROUPS: Final = frozenset({0x0010, 0x0032, 0x0038, 0x0040})
_DUMMY_TEXT: Final = "REMOVED"
_DUMMIES: Final = {
    **dict.fromkeys(("LO", "SH", "ST", "LT", "UC", "UT", "AE", "CS", "PN"), _DUMMY_TEXT),
    "IS": "0",
    "DS": "0",
    "AS": "000Y",
    "UR": "https://removed.invalid",
}
_CHECKS: Final = (Action.CLEAN, Action.NUMBER, Action.CODE, Action.DEVICE)
_LONGEST_NUMBER: Final = 7
_STRUCTURE: Final = frozenset({"Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit"})


@dataclass(frozen=True)
class Subject:
    """One patient under a key: what they are called, and how far their time moves."""

    name: str
    shift: Shift
    pseudonyms: Pseudonyms

    @classmethod
    def of(cls, identity: str, pseudonyms: Pseudonyms) -> "Subject":
        return cls(pseudonyms.patient(identity), pseudonyms.shift(identity), pseudonyms)


def identity_of(dataset: Dataset) -> str:
    """Who the object says its patient is; a study whose patient has no number is a patient of its own."""
    number = str(dataset.get("PatientID") or "").strip()
    if not number:
        return f"study {dataset.get('StudyInstanceUID', '')}"
    return f"{str(dataset.get('IssuerOfPatientID') or '').strip()}\0{number}"


def clean_header(dataset: Dataset, subject: Subject) -> Counts:
    """De-identify every attribute but the pixels, in place; the file meta information is the caller's."""
    counts: Counts = Counter()
    identifiers = Identifiers(_said_of_people(dataset))
    _clean(dataset, subject, identifiers, counts)
    dataset.PatientID = dataset.PatientName = subject.name
    dataset.SpecificCharacterSet = "ISO_IR 192"
    return counts


def _said_of_people(dataset: Dataset) -> Iterator[str]:
    """Names of people and their numbers and addresses, at any depth."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _said_of_people(item)
        elif element.VR == "PN":
            yield from (str(name) for name in _values(element))
        elif element.keyword in ("InstitutionName", "AccessionNumber"):
            # A hospital's name counts as a whole: its parts are everybody's words.
            yield from ("".join(filter(str.isalnum, str(value))) for value in _values(element))
        elif element.VR in ("LO", "SH", "ST", "LT") and element.tag.group in _PEOPLE_GROUPS:
            listed = basic_action(element.tag)
            if listed is not None and not listed[1]:
                yield from (str(value) for value in _values(element))
        elif element.keyword == "PatientBirthDate":
            yield from (str(value) for value in _values(element))


def _clean(dataset: Dataset, subject: Subject, identifiers: Identifiers, counts: Counts) -> None:
    if is_code(dataset):
        action = "code known" if clean_code(dataset) else "unknown code removed"
        counts["CodeValue", action] += 1
    kept_blocks = set()
    original = _times_of(dataset)
    for element in list(dataset):
        if element.tag.is_private:
            if safe_vr(dataset, element) and not any(identifiers.has_number(v) for v in _values(element)):
                kept_blocks.add(creator_tag(element))
                counts["Private", PRIVATE_KEPT] += 1
            continue
        if is_code_part(element.keyword) and is_code(dataset):
            continue
        _apply(dataset, original, element, subject, identifiers, counts)
    for element in list(dataset):
        tag = element.tag
        if tag.is_private and not (
            (tag.group, tag.element) in kept_blocks
            or (
                creator_tag(element) in kept_blocks
                and safe_vr(dataset, element)
                and not any(identifiers.has_number(v) for v in _values(element))
            )
        ):
            del dataset[tag]
            if not tag.is_private_creator:
                counts["Private", PRIVATE_REMOVED] += 1


def _times_of(dataset: Dataset) -> Dataset:
    """The dates and times as they were: each is moved with its partner's original."""
    before = Dataset()
    for element in dataset:
        if element.VR in ("DA", "TM") and element.VM == 1:
            before.add(DataElement(element.tag, element.VR, element.value))
    return before


def _apply(
    dataset: Dataset,
    original: Dataset,
    element: DataElement,
    subject: Subject,
    identifiers: Identifiers,
    counts: Counts,
) -> None:
    keyword, vr = element.keyword, element.VR
    action = decide(element.tag, vr, keyword)
    name = keyword or f"{int(element.tag):08X}"
    if action is Action.DUMMY and vr not in _DUMMIES:
        action = Action.SHIFT if vr in ("DA", "TM", "DT") else Action.UID if vr == "UI" else Action.REMOVE
    outcome = action
    if action is Action.REMOVE:
        del dataset[element.tag]
    elif action is Action.DESCEND:
        for item in element.value or ():
            _clean(item, subject, identifiers, counts)
    elif action is not Action.KEEP:
        before = list(_values(element))
        values = [_value(value, action, original, element, subject, identifiers) for value in before]
        if action in _CHECKS and values == before:
            outcome = Action.KEEP
        elif before or action is Action.DUMMY:
            _set(dataset, element, values or [_DUMMIES[vr]])
    counts[name, outcome.value] += 1


def _value(
    value: Any, action: Action, original: Dataset, element: DataElement, subject: Subject, identifiers: Identifiers
) -> Any:
    """One value after an action; an empty string or None where nothing may stay."""
    text = str(value)
    match action:
        case Action.DUMMY:
            return _DUMMIES[element.VR]
        case Action.UID:
            return text if text in UID_dictionary else subject.pseudonyms.uid(text)
        case Action.SHIFT:
            return shift_element(original, element.keyword, element.VR, text, subject.shift)
        case Action.CLEAN:
            listed = basic_action(element.tag)
            return clean_text(text, identifiers) or (_DUMMY_TEXT if listed and "D" in listed[0] else "")
        case Action.DEVICE:
            return clean_device_text(text, identifiers)
        case Action.CODE:
            return value if is_known_code(text, identifiers) else ""
        case Action.NUMBER:
            return None if _is_identifier(value, element, identifiers) else value
        case _:
            return ""


def _is_identifier(value: Any, element: DataElement, identifiers: Identifiers) -> bool:
    if element.keyword in _STRUCTURE:
        return False
    if element.VR == "AT":
        return not dictionary_has_tag(value)
    too_long = element.VR == "IS" and len(str(value).strip().lstrip("+-")) > _LONGEST_NUMBER
    return too_long or identifiers.has_number(value)


def _set(dataset: Dataset, element: DataElement, values: list[Any]) -> None:
    empty = [value in ("", None) for value in values]
    if element.VR == "SQ":
        new: Any = Items()
    elif all(empty):
        new = None
    elif any(empty) and not isinstance(next(v for v in values if v not in ("", None)), str):
        new = None  # numbers with a hole mean nothing
    else:
        new = values if len(values) > 1 else values[0]
    dataset[element.tag] = DataElement(element.tag, element.VR, new)


def _values(element: DataElement) -> Iterable[Any]:
    value = element.value
    if value is None or (isinstance(value, str) and not value):
        return ()
    if isinstance(value, MultiValue | list | tuple):
        return list(value)
    return (value,)
