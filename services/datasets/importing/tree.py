"""What lies in a tree of NIfTI files named as BIDS names them, with ISLES'24's own suffixes and folders beside BIDS's.

`sub-X[_ses-Y][_key-value ...]_SUFFIX.nii.gz`, wherever in the tree; raw images, derivatives and masks alike.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.errors import SettingsError

ROLES: Final = {
    "ncct": "NCCT",
    "ct": "NCCT",
    "cta": "CTA",
    "ctp": "CTP",
    "tmax": "Tmax",
    "mtt": "MTT",
    "cbf": "CBF",
    "cbv": "CBV",
    "dwi": "DWI",
    "trace": "DWI",
    "adc": "ADC",
    "flair": "FLAIR",
    "t1w": "T1",
    "t2w": "T2",
}
_CONTRAST: Final = {"T1": "T1c", "NCCT": "CTA"}
_MASKS: Final = frozenset({"dseg", "mask", "roi", "msk", "seg"})
_OTHER_MASKS: Final = frozenset({"lvo", "cow", "brain", "skull", "vessel"})
_NAME: Final = re.compile(r"sub-(?P<sub>[A-Za-z0-9]+)(?:_ses-(?P<ses>[A-Za-z0-9]+))?_(?P<rest>.+?)\.nii(?:\.gz)?")
_TABLES: Final = (".tsv", ".csv")
_UNREAD_TABLES: Final = (".xlsx", ".xls", ".ods")
_MISSING: Final = ("", "n/a", "nan")


@dataclass(frozen=True)
class Picture:
    """One NIfTI file: of whom, what, and in whose space it lies (empty: its own)."""

    path: Path
    subject: str
    session: str
    role: str
    space: str
    run: str


@dataclass(frozen=True)
class ImportedCase:
    """One mask with the images that go with it.

    Attributes:
        name: subject, session and run, as `sub-X_ses-Y`.
        images: by role; those of the mask's session and space before others of the subject.
        names: what the mask's values mean, from the table beside it; empty without one.
        clinical: columns of the clinical tables.
    """

    name: str
    subject: str
    session: str
    mask: Path
    images: Mapping[str, Path]
    names: Mapping[int, str]
    clinical: Mapping[str, str]


@dataclass(frozen=True)
class Tree:
    """What was found, and sentences about what was left alone."""

    cases: tuple[ImportedCase, ...]
    notes: tuple[str, ...]


def read_tree(folder: Path) -> Tree:
    """Every mask of a dataset with its images.

    Raises:
        SettingsError: the folder holds no mask that is named so.
    """
    pictures, masks, odd = _sort(folder)
    if not masks:
        raise SettingsError(
            f"{folder} holds no mask named as BIDS or ISLES'24 name one: sub-X[_ses-Y]_..._dseg.nii.gz, _mask or "
            "_lesion-msk." + (f" {len(odd)} files are named otherwise, such as {odd[0].name}." if odd else "")
        )
    clinical, notes = _clinical(folder)
    by_subject: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        by_subject[picture.subject].append(picture)
    cases = [_case(mask, by_subject[mask.subject], clinical.get(mask.subject, {})) for mask in masks]
    doubles = sorted({case.name for case in cases if sum(case.name == other.name for other in cases) > 1})
    if doubles:
        raise SettingsError(
            f"{len(doubles)} studies have two masks, such as {doubles[0]}: "
            f"{' and '.join(str(case.mask.relative_to(folder)) for case in cases if case.name == doubles[0])}. "
            "Take one of them away."
        )
    if odd:
        notes.append(f"{len(odd)} NIfTI files are named otherwise and were left alone, such as {odd[0].name}.")
    return Tree(tuple(sorted(cases, key=lambda case: case.name)), tuple(notes))


def label_values(case: ImportedCase, labels: Mapping[str, int]) -> dict[int, int]:
    """Which label each of a mask's values is: by the names beside it, the only label there is, or the same number.

    Args:
        labels: values by name, of a task or of a model.

    Raises:
        ValueError: the mask has a label of another name.
    """
    known = {name.casefold(): value for name, value in labels.items()}
    named = {value: name.casefold() for value, name in case.names.items() if value}
    if strange := sorted(set(named.values()) - set(known)):
        raise ValueError(f"Its mask has the label {strange[0]}; there are {', '.join(labels)}.")
    if named:
        return {value: known[name] for value, name in named.items()}
    return {1: next(iter(labels.values()))} if len(labels) == 1 else {value: value for value in labels.values()}


def _sort(folder: Path) -> tuple[list[Picture], list[Picture], list[Path]]:
    pictures, masks, odd = [], [], []
    for path in sorted((*folder.rglob("*.nii"), *folder.rglob("*.nii.gz"))):
        match = _NAME.fullmatch(path.name)
        if match is None or path.name.startswith("."):
            odd.append(path)
            continue
        *entities, suffix = match["rest"].split("_")
        known = dict(entity.split("-", 1) for entity in entities if "-" in entity)
        kind = suffix.lower().split("-")[-1]
        role = ROLES.get(suffix.lower())
        if kind in _MASKS:
            words = {suffix.lower().split("-")[0], known.get("label", "").lower(), known.get("desc", "").lower()}
            if not words & _OTHER_MASKS:
                masks.append(_picture(path, match, known, ""))
        elif role is not None:
            role = _CONTRAST.get(role, role) if "ce" in known else role
            pictures.append(_picture(path, match, known, role))
        else:
            odd.append(path)
    return pictures, masks, odd


def _picture(path: Path, match: re.Match[str], known: Mapping[str, str], role: str) -> Picture:
    return Picture(path, match["sub"], match["ses"] or "", role, known.get("space", ""), known.get("run", ""))


def _case(mask: Picture, pictures: Sequence[Picture], clinical: Mapping[str, str]) -> ImportedCase:
    def far(picture: Picture) -> tuple[bool, bool, bool, str]:
        same_space = picture.space == mask.space or {picture.space, mask.space} <= {"", "orig"}
        return (not same_space, picture.session != mask.session, picture.run != mask.run, picture.path.name)

    images: dict[str, Path] = {}
    for picture in sorted(pictures, key=far):
        images.setdefault(picture.role, picture.path)
    name = "_".join(
        f"{key}-{value}" for key, value in (("sub", mask.subject), ("ses", mask.session), ("run", mask.run)) if value
    )
    return ImportedCase(name, mask.subject, mask.session, mask.path, images, _names(mask.path), clinical)


def _names(mask: Path) -> dict[int, str]:
    """The table of values beside a BIDS mask."""
    table = mask.with_name(mask.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    rows = _rows(table) if table.is_file() else []
    return {int(row["index"]): row["name"] for row in rows if row.get("index", "").isdigit() and row.get("name")}


def _clinical(folder: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Columns of participants.tsv and of what lies below phenotype, by subject; and what could not be read."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    notes = []
    for path in sorted((*folder.rglob("participants.tsv"), *folder.rglob("phenotype/**/*"))):
        if not path.is_file() or path.suffix not in (*_TABLES, *_UNREAD_TABLES):
            continue
        if path.suffix in _UNREAD_TABLES:
            notes.append(f"{path.relative_to(folder)} is a spreadsheet; save it as CSV to have its columns.")
            continue
        of = re.match(r"sub-([A-Za-z0-9]+)", path.name)
        for row in _rows(path):
            subject = row.pop("participant_id", "").removeprefix("sub-") or (of[1] if of else "")
            if subject:
                found[subject] |= {key: value for key, value in row.items() if value.lower() not in _MISSING}
    return found, notes


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
            return [
                {
                    key.strip(): (value or "").strip()
                    for key, value in row.items()
                    if isinstance(key, str) and key.strip()
                }
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path} cannot be read as a table in UTF-8.") from error
