"""What the viewer's panel says, and which series and slice it opens."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from models.registry import load_card
from services.ledger.images import ImageSeries, LabelFacts
from services.ledger.opinions import Opinion, Reason, Verdict
from services.ledger.worklist import AnalysisFacts, FindingFacts, StudyFacts
from services.triage.panel import (
    PanelAnalysis,
    choose_series,
    describe_analyses,
    largest_finding,
    reference_series,
    why_no_result,
)

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
CARD = load_card("ich")
SERIES = tuple(
    ImageSeries(f"1.2.{number}", f"{number:032x}", number, "Head", "CT", role, instances)
    for number, role, instances in ((1, None, 2), (2, "NCCT", 32), (3, None, 300))
)
ANSWER = AnalysisFacts(
    id=7,
    model="ich",
    model_version=CARD.version,
    state="analysed",
    reason=None,
    has_preview=True,
    queued_at=NOW,
    analysed_at=NOW,
    findings=(FindingFacts("IPH", 12.0, 1, 4), FindingFacts("SDH", 30.0, 2, 9)),
    measurements={CARD.measures[0].name: 6.0},
)
LABELS = LabelFacts(7, "1.2", "ich", CARD.version, {"NCCT": "1.2.2"}, "k", is_current=True)


def study(*analyses: AnalysisFacts, state: str = "analysed", reason: str | None = None) -> StudyFacts:
    return StudyFacts(
        study_uid="1.2", key="0" * 32, patient_id=None, patient_name=None, patient_birth_date=None, patient_sex=None,
        accession_number=None, description=None, study_date=None, study_time=None, modalities=("CT",), instances=34,
        state=state, reason=reason, urgency=3, arrived_at=NOW, last_instance_at=NOW, claimed_by=None, claimed_at=None,
        handed_over_by=None, analyses=analyses, parked=(),
    )  # fmt: skip


def describe(answer: AnalysisFacts = ANSWER, labels: LabelFacts | None = LABELS) -> PanelAnalysis:
    [described] = describe_analyses(
        study(answer), SERIES, {7: labels} if labels is not None else {}, {"ich": CARD}, "ana"
    )
    return described


def test_findings_lie_on_the_models_first_input_and_open_at_the_largest() -> None:
    each = describe()
    assert each.series == SERIES[1]
    assert each.is_drawn
    assert [finding.label.name for finding in each.findings if finding.label] == ["IPH", "SDH"]
    assert each.measurements == ((CARD.measures[0], 6.0),)
    assert choose_series((each,), SERIES, None) == SERIES[1]
    found = largest_finding((each,), SERIES[1])
    assert found is not None
    assert found.label == "SDH"
    assert largest_finding((each,), SERIES[2]) is None
    assert choose_series((each,), SERIES, SERIES[0].key) == SERIES[0]


def test_without_an_answer_the_series_with_a_role_opens_then_the_largest() -> None:
    assert choose_series((), SERIES, "no such series") == SERIES[1]
    assert choose_series((), [replace(each, role=None) for each in SERIES], None) == replace(SERIES[2], role=None)
    assert choose_series((), (), None) is None


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (None, "no outlines"),
        (replace(LABELS, segmentation_key=None), "no outlines"),
        (replace(LABELS, inputs={"NCCT": "gone"}), "not known on which series"),
        (replace(LABELS, is_current=False), "images arrived after this answer"),
    ],
)
def test_outlines_that_do_not_fit_are_left_out_with_the_reason(labels: LabelFacts | None, reason: str) -> None:
    each = describe(labels=labels)
    assert not each.is_drawn
    assert each.why_not is not None
    assert reason in each.why_not


def test_another_versions_limits_and_measures_are_not_todays() -> None:
    each = describe(replace(ANSWER, model_version="0.0.1"))
    assert (each.limits, each.intended_use, each.measurements) == ((), None, ())
    assert each.is_drawn


def test_of_several_inputs_the_cards_first_counts() -> None:
    assert reference_series({"ADC": "1.2.1", "NCCT": "1.2.2"}, CARD) == "1.2.2"
    assert reference_series({"ADC": "1.2.1", "DWI": "1.2.2"}, None) is None
    assert reference_series({"DWI": "1.2.2"}, None) == "1.2.2"


def test_opinions_are_ones_own_and_the_last_may_dismiss() -> None:
    agree = Opinion("ana", Verdict.AGREE, None, NOW - timedelta(minutes=2))
    known = Opinion("bo", Verdict.DISAGREE, Reason.KNOWN, NOW)
    each = describe(replace(ANSWER, opinions=(agree, known)))
    assert (each.mine, each.dismissed) == (agree, known)
    assert describe(replace(ANSWER, opinions=(known, agree))).dismissed is None


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        ("receiving", None, "still being received"),
        ("analysing", None, "has not answered yet"),
        ("not_applicable", "No series fits a model.", "Not analysed. No series fits a model."),
        ("parked", None, "Not analysed."),
    ],
)
def test_why_there_is_no_result(state: str, reason: str | None, said: str) -> None:
    assert said in why_no_result(study(state=state, reason=reason))
