"""The evaluation as files: evaluation.json, cases.csv and evaluation.html."""

import csv
import json
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from models.predict import NOTICE
from services.datasets.evaluation.cases import ANY
from services.datasets.evaluation.measuring import Case, Outcome
from services.datasets.evaluation.overlap import TOLERANCE_MM
from services.datasets.evaluation.report import SYNTHETIC, render_report
from services.datasets.evaluation.run import Evaluation
from services.errors import SettingsError


def prepare_folder(out: Path) -> None:
    """Make sure that results can be written before hours are spent on them.

    Raises:
        SettingsError: they cannot.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".nightjar"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsError(f"--out {out}: {error.strerror}. Name a folder that can be written.") from error


def write_files(evaluation: Evaluation, out: Path) -> dict[str, Any]:
    """Write the three files; what evaluation.json holds comes back.

    Raises:
        SettingsError: the folder cannot be written.
    """
    content = as_json(evaluation)
    try:
        (out / "evaluation.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (out / "cases.csv").write_text(as_csv(evaluation), encoding="utf-8")
        (out / "evaluation.html").write_text(render_report(evaluation), encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--out {out}: {error.strerror}. Name a folder that can be written.") from error
    return content


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Everything but the cases themselves, in plain types; null is what the cases do not allow."""
    card = evaluation.card
    content = {
        "notice": NOTICE,
        "synthetic": SYNTHETIC if evaluation.synthetic else None,
        "dataset": evaluation.dataset,
        "date": evaluation.on.isoformat(),
        "model": {"name": card.name, "version": card.version, "weights_sha256": card.weights.sha256},
        "calibration_file": evaluation.calibration,
        "operating_points": {label.name: label.operating_point.model_dump() for label in card.labels},
        "surface_tolerance_mm": TOLERANCE_MM,
        **asdict(evaluation.summary),
        "not_analysed": [
            {"study": case.study, "outcome": case.outcome, "reason": case.reason}
            for case in evaluation.cases
            if case.outcome is not Outcome.ANALYSED
        ],
        "acceptance": None
        if evaluation.judgement is None
        else {"judgement": evaluation.judgement, "limits": [asdict(verdict) for verdict in evaluation.verdicts]},
        "calibration": None if evaluation.fit is None else asdict(evaluation.fit),
    }
    plain: dict[str, Any] = json.loads(json.dumps(content, default=_plain, allow_nan=False))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no place in JSON.")


def as_csv(evaluation: Evaluation) -> str:
    """One row a study; empty cells are what is not known."""
    names = [ANY, *(label.name for label in evaluation.card.labels)]
    columns = sorted({column for case in evaluation.cases for column in case.attributes})
    text = StringIO()
    writer = csv.DictWriter(
        text,
        ["study", "outcome", "reason", *columns, "slices", "step_mm", "seconds"]
        + [f"{name} {figure}" for name in names for figure in _FIGURES]
        + [f"{name}, lesion-wise {figure}" for name in evaluation.card.regions for figure in _LESION_WISE],
        lineterminator="\n",
    )
    writer.writeheader()
    writer.writerows(_row(case) for case in evaluation.cases)
    return text.getvalue()


_FIGURES = (
    "truth",
    "finding",
    "probability",
    "truth mL",
    "answer mL",
    "ABC/2 mL",
    "Dice",
    "NSD",
    "HD95 mm",
    "lesion F1",
)
_LESION_WISE = ("Dice", "HD95 mm", "found", "missed", "false")


def _row(case: Case) -> dict[str, object]:
    row: dict[str, object] = {
        "study": case.study,
        "outcome": str(case.outcome),
        "reason": case.reason,
        **case.attributes,
        "slices": case.slice_count or "",
        "step_mm": _cell(case.step_mm),
        "seconds": _cell(case.seconds),
    }
    for name, measured in case.labels.items():
        overlap = measured.overlap
        figures = (
            "" if measured.truth is None else int(measured.truth),
            int(measured.found),
            _cell(measured.probability),
            _cell(measured.truth_ml),
            _cell(measured.answer_ml),
            _cell(measured.abc2_ml),
            *(
                ("", "", "", "")
                if overlap is None
                else map(_cell, (overlap.dice, overlap.nsd, overlap.hd95_mm, overlap.lesion_f1))
            ),
        )
        row |= {f"{name} {figure}": value for figure, value in zip(_FIGURES, figures, strict=True)}
    for name, region in case.regions.items():
        scores = (_cell(region.dice), _cell(region.hd95_mm), region.found, region.missed, region.false)
        row |= {f"{name}, lesion-wise {figure}": value for figure, value in zip(_LESION_WISE, scores, strict=True)}
    return row


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
