"""What the demonstration says at its end: a table for people, summary.json for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from rich.table import Table
from rich.text import Text

from services.demonstration.pacs import Received
from services.demonstration.pushed import PushedStudy
from services.ledger.demonstration import FoundFinding, StudyOutcome

_REASON_WIDTH = 100  # the table has a sentence; summary.json and `nightjar explain` have all of it


@dataclass(frozen=True)
class StudyReport:
    """One pushed study, how it ended, and what came back for it.

    Attributes:
        outcome: None when the ledger never heard of the study.
        problems: what is wrong, a sentence each.
        refused: instances the listener did not take, a sentence each; bad input, so no problem of the service's.
    """

    study: PushedStudy
    outcome: StudyOutcome | None
    received: tuple[Received, ...]
    problems: tuple[str, ...]
    refused: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        return self.outcome.state if self.outcome else "not received"

    @property
    def ok(self) -> bool:
        """It reached the state it should, and nothing is wrong with what came back."""
        return self.study.reached(self.state) and not self.problems

    def paths(self, kind: str) -> list[Path]:
        return [result.path for result in self.received if result.kind == kind]


def find_problems(outcome: StudyOutcome | None, received: Sequence[Received], wrong: Sequence[str]) -> tuple[str, ...]:
    """Everything that keeps a study's end from being right, beyond its state.

    Args:
        wrong: what verification found in the received results.
    """
    problems = list(wrong)
    if outcome is None:
        return ("No instance of it reached the ledger.",)
    if not outcome.done:
        problems.append("It did not end in the time given.")
    problems += outcome.results_stuck
    kinds = {result.kind for result in received}
    if outcome.done and outcome.state == "analysed":
        images = sum(result.kind == "mr" for result in received)
        if images != outcome.images:
            problems.append(f"{images} of {outcome.images} enhanced images came back.")
        if outcome.looked and "sr" not in kinds:
            problems.append("No SR came back.")
        if outcome.findings and "seg" not in kinds:
            problems.append("No SEG came back though there is a finding.")
    return tuple(problems)


def summarise(reports: Sequence[StudyReport], root: Path) -> dict[str, Any]:
    """The content of summary.json; paths are relative to `root`."""
    return {"studies": [_summary(report, root) for report in reports]}


def _summary(report: StudyReport, root: Path) -> dict[str, Any]:
    outcome = report.outcome
    return {
        "study_uid": report.study.study_uid,
        "description": report.study.description,
        "expected": report.study.expected,
        "state": report.state,
        "reason": outcome.reason if outcome else "",
        "series": [
            {
                "series_uid": series.series_uid,
                "series_number": series.series_number,
                "role": series.role,
                "reason": series.reason,
                "analysed": series.analysed,
            }
            for series in (outcome.series if outcome else ())
        ],
        "findings": [
            {
                "label": finding.label,
                "volume_ml": round(finding.volume_ml, 2),
                "probability": round(finding.probability, 4),
            }
            for finding in (outcome.findings if outcome else ())
        ],
        "put_in": None
        if report.study.put_in is None
        else [{"label": bleed.label, "volume_ml": bleed.volume_ml} for bleed in report.study.put_in],
        "urgency": outcome.urgency.word.lower() if outcome else None,
        "seconds_to_flag": None
        if outcome is None or outcome.seconds_to_flag is None
        else round(outcome.seconds_to_flag, 2),
        "seg": [str(path.relative_to(root)) for path in report.paths("seg")],
        "sr": [str(path.relative_to(root)) for path in report.paths("sr")],
        "mr": [str(path.relative_to(root)) for path in report.paths("mr")],
        "ok": report.ok,
        "problems": list(report.problems),
        "refused": list(report.refused),
    }


def render(reports: Sequence[StudyReport]) -> Table:
    """The table on the terminal."""
    caption = "Prioritisation only. Not for diagnosis."
    if any(report.study.put_in is not None for report in reports):
        caption = (
            "Synthetic studies, sent one after another. Put in and found stand side by side as they are;\n"
            f"they say nothing about clinical accuracy. {caption}"
        )
    table = Table(title="Studies", caption=caption, show_lines=True)
    for heading in ("Study", "Series chosen, and why", "State", "Put in, mL", "Found, mL", "Urgency"):
        table.add_column(heading)
    table.add_column("s to flag", justify="right")
    table.add_column("SEG/SR/MR")
    for report in reports:
        outcome = report.outcome
        seconds = outcome.seconds_to_flag if outcome else None
        table.add_row(
            Text(report.study.description),
            Text(_chosen(outcome)),
            Text(_state(report), style="green" if report.ok else "bold red"),
            Text(_put_in(report.study)),
            Text(_found(outcome)),
            outcome.urgency.word if outcome and outcome.state == "analysed" else "",
            "" if seconds is None else f"{seconds:.1f}",
            "/".join(str(len(report.paths(kind))) for kind in ("seg", "sr", "mr")),
        )
    return table


def _chosen(outcome: StudyOutcome | None) -> str:
    if outcome is None:
        return ""
    chosen = [series for series in outcome.series if series.analysed]
    if not chosen:
        return outcome.reason
    return "\n".join(
        shorten(f"series {series.series_number} as {series.role}: {series.reason}", _REASON_WIDTH, placeholder=" ...")
        for series in chosen
    )


def _state(report: StudyReport) -> str:
    lines = [report.state]
    if not report.study.reached(report.state):
        lines.append(f"expected: {report.study.expected}")
        if report.outcome and report.outcome.reason:
            lines.append(report.outcome.reason)
    return "\n".join([*lines, *report.problems, *report.refused])


def _put_in(study: PushedStudy) -> str:
    if study.put_in is None:
        return "not known"
    return "\n".join(f"{bleed.label} {bleed.volume_ml:.1f}" for bleed in study.put_in) or "nothing"


def _found(outcome: StudyOutcome | None) -> str:
    if outcome is None or outcome.state != "analysed":
        return ""
    enhanced = [f"enhanced: {outcome.images} images"] if outcome.images else []
    return "\n".join([*map(_finding, outcome.findings), *enhanced]) or "no flag"


def _finding(finding: FoundFinding) -> str:
    return f"{finding.label} {finding.volume_ml:.1f} (p {finding.probability:.2f})"
