"""What there is to evaluate on: images, and the truth that experts left for each."""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.card import Card
from models.errors import InvalidVolume
from models.predict import read_image
from models.volume import Volume
from services.datasets.evaluation.truth import check_headers
from services.errors import SettingsError

ANY = "any"
"""Stands beside the card's labels: at least one of them."""

READS = "studies.csv"
STUDY_COLUMN = "study"
SCANNER = "scanner"
THICKNESS = "thickness_mm"
MOST_GROUPS = 12
"""A column with more different values tells studies apart rather than kinds of studies."""

_NAMED = 10
_READ = {"0": False, "1": True}
_NIFTI = re.compile(r"(.+?)\.nii(\.gz)?")


@dataclass(frozen=True)
class Study:
    """One study and what is known of it.

    Attributes:
        name: of its image, without ending; also its name in the report.
        images: file or folder by the card's role.
        truth: label map (NIfTI, or a folder or file of DICOM SEG); None where only reads are known.
        reads: label or ANY: whether experts saw it; what was not read is missing.
        attributes: further columns of the table, such as scanner.
    """

    name: str
    images: Mapping[str, Path]
    truth: Path | None = None
    reads: Mapping[str, bool] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Row:
    reads: Mapping[str, bool]
    attributes: Mapping[str, str]


def find_studies(images: Path, truth: Path, card: Card) -> list[Study]:
    """Pair images with truths by name, in order of name.

    Args:
        images: a NIfTI (`NAME.nii`, `NAME.nii.gz`) or a folder of DICOM a study; for a model of several inputs a
            folder a study with an entry a role (`T1.nii.gz`, or a folder `T1`).
        truth: label maps with the card's values under the images' names, and/or `studies.csv` with a row a study.

    Raises:
        SettingsError: a line for each study, file or value that does not fit.
    """
    pictures = _entries(images, "--images")
    maps = _entries(truth, "--truth", ending=(".dcm",))
    table = _table(truth / READS, card)
    problems = _mismatches(images, truth, pictures, maps, table)
    studies = []
    for name, path in pictures.items():
        row = table.get(name, _Row({}, {}))
        inputs = _inputs(path, card)
        missing = card.lacks(inputs)
        if missing:
            problems.append(f"{path} lacks {', '.join(missing)}: name an image {missing[0]}.nii.gz in it.")
            continue
        study = Study(name, inputs, maps.get(name), row.reads, row.attributes)
        if study.truth is not None:
            try:
                check_headers(inputs[card.reference_of(inputs).role], study.truth)
            except InvalidVolume as error:
                problems.append(str(error))
        studies.append(study)
    if problems:
        raise SettingsError("\n".join(problems))
    return studies


def read_images(study: Study, card: Card) -> dict[str, Volume]:
    """The images of a study that the model reads, by role.

    Raises:
        InvalidVolume: one of them cannot be read.
    """
    return {
        entry.role: read_image(study.images[entry.role], entry.modality, any_plane=entry.planes == "any")[0]
        for entry in card.inputs
        if entry.role in study.images
    }


def _entries(folder: Path, option: str, ending: tuple[str, ...] = ()) -> dict[str, Path]:
    """NIfTI files, folders and files of given endings directly in a folder, by name without ending."""
    if not folder.is_dir():
        raise SettingsError(f"{option} {folder} is no folder.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _NIFTI.fullmatch(path.name)
        if path.name.startswith("."):
            continue
        if path.is_dir():
            name = path.name
        elif match:
            name = match[1]
        elif path.suffix in ending:
            name = path.stem
        else:
            continue
        if name in found:
            raise SettingsError(f"{option}: {found[name].name} and {path.name} are both {name}. Take one of them away.")
        found[name] = path
    return found


def _inputs(path: Path, card: Card) -> dict[str, Path]:
    """The images of one study by role."""
    if path.is_dir():
        roles = {entry.role for entry in card.inputs}
        found = {name: entry for name, entry in _entries(path, "--images").items() if name in roles}
        if found or len(card.inputs) > 1:
            return found
    return {card.inputs[0].role: path}


def _mismatches(
    images: Path, truth: Path, pictures: Mapping[str, Path], maps: Mapping[str, Path], table: Mapping[str, _Row]
) -> list[str]:
    if not pictures:
        return [f"--images {images} holds no NIfTI and no folder of DICOM."]
    read = {name for name, row in table.items() if row.reads}
    if not maps and not read:
        return [f"--truth {truth} holds no label map, and no {READS} with reads."]
    problems = []
    untrue = sorted(set(pictures) - set(maps) - read)
    if untrue:
        problems.append(
            f"{_count(untrue, 'image has', 'images have')} no truth in {truth}: {_list(untrue)}. "
            f"Add a label map of that name, or a row in {READS}, or take the image away."
        )
    for what, names in ((f"the label maps of {truth}", maps), (str(truth / READS), table)):
        extra = sorted(set(names) - set(pictures))
        if extra:
            problems.append(
                f"{_count(extra, 'study', 'studies')} of {what} {'has' if len(extra) == 1 else 'have'} no image in "
                f"{images}: {_list(extra)}. Names must be the same, without ending."
            )
    return problems


def _count(names: list[str], one: str, many: str) -> str:
    return f"{len(names)} {one if len(names) == 1 else many}"


def _list(names: Iterable[str]) -> str:
    all_names = list(names)
    more = len(all_names) - _NAMED
    return ", ".join(all_names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _table(path: Path, card: Card) -> dict[str, _Row]:
    """Rows of studies.csv by study; empty without the file."""
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            lines = list(reader)
            columns = [column.strip() for column in reader.fieldnames or []]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path} cannot be read as CSV in UTF-8.") from error
    if STUDY_COLUMN not in columns or len(set(columns)) < len(columns):
        raise SettingsError(f"{path} needs one column {STUDY_COLUMN}, and no column twice; it has {_list(columns)}.")
    labels = [ANY, *(label.name for label in card.labels)]
    rows: dict[str, _Row] = {}
    problems = []
    for number, line in enumerate(lines, start=2):
        if None in line or None in line.values():
            problems.append(f"{path} line {number}: it has another number of cells than the head of the table.")
            continue
        cells = {column.strip(): cell.strip() for column, cell in line.items()}
        name = cells.pop(STUDY_COLUMN)
        if not name or name in rows:
            problems.append(f"{path} line {number}: {f'{name} stands there twice' if name else 'it names no study'}.")
        given = {label: cells.pop(label) for label in labels if label in cells}
        wrong = [f"{label} = {value}" for label, value in given.items() if value not in ("", *_READ)]
        if wrong:
            problems.append(f"{path} line {number}: {', '.join(wrong)}; a read is 0, 1 or empty.")
        reads = {label: _READ[value] for label, value in given.items() if value in _READ}
        seen = [label for label, value in reads.items() if value and label != ANY]
        if seen and reads.get(ANY) is False:
            problems.append(f"{path} line {number}: {ANY} is 0 and {', '.join(seen)} 1; one of them is wrong.")
        attributes = {column: value for column, value in cells.items() if value}
        if THICKNESS in attributes and not _is_length(attributes[THICKNESS]):
            problems.append(f"{path} line {number}: {THICKNESS} = {attributes[THICKNESS]} is no number of millimetres.")
        rows[name] = _Row(reads, attributes)
    for column in sorted(set(columns) - {STUDY_COLUMN, THICKNESS, *labels}):
        groups = len({row.attributes[column] for row in rows.values() if column in row.attributes})
        if groups > MOST_GROUPS:
            problems.append(
                f"{path}: the column {column} has {groups} different values; up to {MOST_GROUPS} groups are told "
                "apart. Make groups of them, or take the column away."
            )
    if problems:
        raise SettingsError("\n".join(problems))
    return rows


def _is_length(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
