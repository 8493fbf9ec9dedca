"""When a study's end counts as right, and what summary.json says of it."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from models.prediction import Urgency
from services.demonstration.pacs import Received
from services.demonstration.plan import PlannedBleed
from services.demonstration.pushed import NOT_FAILED, PushedStudy
from services.demonstration.report import StudyReport, find_problems, render, summarise
from services.ledger.demonstration import FoundFinding, RoutedSeries, StudyOutcome

ROOT = Path("/demo-out")
STUDY = PushedStudy("2.25.1", "acute bleed", ROOT / "phantoms", "analysed", (PlannedBleed("SDH", 45.0),), {})
OUTCOME = StudyOutcome(
    study_uid="2.25.1",
    state="analysed",
    reason="",
    urgency=Urgency.IMMEDIATE,
    seconds_to_flag=6.2,
    series=(
        RoutedSeries("2.25.2", 1, None, "a localiser", False),
        RoutedSeries("2.25.3", 2, "NCCT", "soft-tissue kernel", True),
    ),
    findings=(FoundFinding("SDH", 41.2345, 0.97),),
    results_pending=0,
    results_stuck=(),
)
SEG = Received("seg", "2.25.1", "2.25.9", ROOT / "received" / "seg-2.25.9.dcm")
SR = Received("sr", "2.25.1", "2.25.10", ROOT / "received" / "sr-2.25.10.dcm")


def _report(outcome: StudyOutcome | None = OUTCOME, received: tuple[Received, ...] = (SEG, SR)) -> StudyReport:
    return StudyReport(STUDY, outcome, received, find_problems(outcome, received, []))


def test_the_summary_has_the_promised_fields():
    [entry] = summarise([_report()], ROOT)["studies"]
    assert entry["state"] == entry["expected"] == "analysed"
    assert entry["ok"] is True
    assert entry["series"][1] | {"series_number": 0} == {
        "series_uid": "2.25.3",
        "series_number": 0,
        "role": "NCCT",
        "reason": "soft-tissue kernel",
        "analysed": True,
    }
    assert entry["findings"] == [{"label": "SDH", "volume_ml": 41.23, "probability": 0.97}]
    assert entry["put_in"] == [{"label": "SDH", "volume_ml": 45.0}]
    assert (entry["urgency"], entry["seconds_to_flag"]) == ("immediate", 6.2)
    assert entry["seg"] == ["received/seg-2.25.9.dcm"]
    assert entry["sr"] == ["received/sr-2.25.10.dcm"]


@pytest.mark.parametrize(
    "report",
    [
        _report(outcome=None, received=()),
        _report(received=(SR,)),
        _report(received=(SEG,)),
        _report(replace(OUTCOME, state="failed", reason="The model failed.")),
        _report(replace(OUTCOME, results_pending=1)),
        _report(replace(OUTCOME, results_stuck=("SEG to demo-pacs: refused",))),
    ],
)
def test_a_wrong_end_is_not_ok(report: StudyReport):
    assert not report.ok


def test_without_a_finding_no_segmentation_is_expected():
    assert _report(replace(OUTCOME, findings=(), urgency=Urgency.STANDARD), (SR,)).ok


@pytest.mark.parametrize(
    ("state", "ok"),
    [("analysed", True), ("not_applicable", True), ("parked", True), ("failed", False), ("receiving", False)],
)
def test_ones_own_study_may_end_in_any_way_but_failed(state: str, ok: bool):
    assert replace(STUDY, expected=NOT_FAILED).reached(state) is ok


def test_the_table_puts_what_was_put_in_beside_what_was_found():
    console = Console(width=180, record=True, file=StringIO())
    console.print(render([_report(), StudyReport(STUDY, None, (), ("No instance of it reached the ledger.",))]))
    text = console.export_text()
    for words in ("SDH 45.0", "SDH 41.2", "series 2 as NCCT", "Immediate", "6.2", "not received", "Not for diagnosis"):
        assert words in text
