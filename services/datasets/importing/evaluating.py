"""An imported dataset as `nightjar evaluate` reads one: a folder a study, truths under its name, a table of groups."""

import csv
import shutil
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import numpy as np

from models.card import Card
from models.errors import InvalidVolume
from models.nifti import read_nifti
from services.datasets.aside import new_folder
from services.datasets.evaluation.cases import ANY, MOST_GROUPS, READS, STUDY_COLUMN, THICKNESS
from services.datasets.importing.tree import ImportedCase, Tree, label_values
from services.errors import SettingsError


def write_evaluation(tree: Tree, card: Card, target: Path) -> list[str]:
    """Write `target/images`, `target/truth` and `target/clinical.csv`; names of the studies.

    Masks keep their own grid and get the card's values; images are copied as they are, those that the model does not
    read too.

    Raises:
        SettingsError: `target` exists, or a line for each study that lacks an image or has a mask of other values.
        Reject: it could not be written.
    """
    needed = [entry.role for entry in card.inputs if not entry.optional]
    problems = [
        f"{case.name} has no {', '.join(missing)}, which {card.name} reads."
        for case in tree.cases
        if (missing := [role for role in needed if role not in case.images])
    ]
    if problems:
        raise SettingsError("\n".join(problems))
    with new_folder(target) as aside:
        for case in tree.cases:
            try:
                _write(case, card, aside)
            except (InvalidVolume, ValueError) as error:
                problems.append(f"{case.name}: {error}")
        if problems:
            raise SettingsError("\n".join(problems))
        (aside / "truth" / READS).write_text(_groups(tree.cases, card), encoding="utf-8")
        (aside / "clinical.csv").write_text(_table(tree.cases, _columns(tree.cases)), encoding="utf-8")
    return [case.name for case in tree.cases]


def _write(case: ImportedCase, card: Card, folder: Path) -> None:
    for role, path in case.images.items():
        copied = (
            folder / "images" / case.name / f"{role}{''.join(path.suffixes[-2:]) if path.suffix == '.gz' else '.nii'}"
        )
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)
    mask, grid = read_nifti(case.mask)
    table = label_values(case, {label.name: label.value for label in card.labels})
    strange = sorted({float(value) for value in np.unique(mask.voxels)} - {0.0, *map(float, table)})
    if strange:
        raise ValueError(f"Its mask holds the value {strange[0]:g}; known are 0, {', '.join(map(str, table))}.")
    labels = np.zeros(mask.voxels.shape, np.uint8)
    for value, ours in table.items():
        labels[mask.voxels == value] = ours
    truth = folder / "truth" / f"{case.name}.nii.gz"
    truth.parent.mkdir(parents=True, exist_ok=True)
    grid.write(labels, truth)


def _columns(cases: Sequence[ImportedCase]) -> list[str]:
    return sorted({column for case in cases for column in case.clinical})


def _groups(cases: Sequence[ImportedCase], card: Card) -> str:
    """Columns that tell groups of studies apart; a column with a value for every study tells none."""
    taken = {STUDY_COLUMN, THICKNESS, ANY, *(label.name for label in card.labels)}
    columns = [
        column
        for column in _columns(cases)
        if column not in taken and len({case.clinical.get(column, "") for case in cases} - {""}) <= MOST_GROUPS
    ]
    return _table(cases, columns)


def _table(cases: Sequence[ImportedCase], columns: Sequence[str]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([STUDY_COLUMN, *columns])
    writer.writerows([case.name, *(case.clinical.get(column, "") for column in columns)] for case in cases)
    return text.getvalue()
