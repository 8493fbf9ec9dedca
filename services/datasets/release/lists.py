"""A list of consents as a research office keeps it: one CSV, a decision a line."""

import csv
from pathlib import Path
from typing import Final

from services.errors import SettingsError
from services.ledger.consent import Consent, ConsentEntry

_COLUMNS: Final = {"patient_id", "study_uid", "decision", "basis"}
_SHOWN: Final = 10


def read_list(path: Path, basis: str | None) -> list[ConsentEntry]:
    """The decisions of a file with the columns `decision` and `patient_id` or `study_uid`, and maybe `basis`.

    Args:
        basis: of lines that name none.

    Raises:
        SettingsError: it cannot be read; a line for each thing that is wrong, without whom it is of.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = [{(key or "").strip(): (value or "").strip() for key, value in row.items()} for row in reader]
            columns = {column.strip() for column in reader.fieldnames or ()}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error, AttributeError) as error:
        raise SettingsError(f"{path} cannot be read as CSV in UTF-8.") from error
    if "decision" not in columns or not columns & {"patient_id", "study_uid"} or columns - _COLUMNS:
        raise SettingsError(
            f"{path} has the columns {', '.join(sorted(columns)) or 'of nothing'}. It needs decision and patient_id or "
            "study_uid; basis may stand beside them."
        )
    entries, problems = [], []
    for number, row in enumerate(rows, start=2):
        try:
            entries.append(_entry(row, basis))
        except ValueError as error:
            problems.append(f"{path} line {number}: {error}")
    if problems:
        raise SettingsError(
            "\n".join([*problems[:_SHOWN], *([f"And {len(problems) - _SHOWN} more."] * (len(problems) > _SHOWN))])
        )
    if not entries:
        raise SettingsError(f"{path} holds no decision.")
    return entries


def _entry(row: dict[str, str], basis: str | None) -> ConsentEntry:
    patient, study = row.get("patient_id") or None, row.get("study_uid") or None
    if (patient is None) == (study is None):
        raise ValueError("name either a patient or a study.")
    try:
        decision = Consent(row["decision"].lower())
    except ValueError:
        raise ValueError(f"a decision is {', '.join(Consent)}.") from None
    stated = row.get("basis") or basis
    if not stated:
        raise ValueError("say what the decision rests on: a column basis, or --basis.")
    return ConsentEntry(decision, stated, patient, study)
