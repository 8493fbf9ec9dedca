import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.prediction import Urgency
from services.ledger.opinions import Opinion, Reason, Verdict
from services.ledger.worklist import AnalysisFacts, FindingFacts, ParkedDelivery, StudyFacts
from services.triage.rows import (
    AiState,
    Filters,
    Row,
    Sort,
    ai_state,
    build_worklist,
    describe_study,
    format_date,
    format_person_name,
    format_range,
    format_volume,
    format_wait,
)
from services.triage.shift import summarise

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
MAXIMUM = timedelta(minutes=60)
STUDY_STATES = ("receiving", "analysing", "analysed", "not_applicable", "failed", "parked")
ANALYSIS_STATES = ("queued", "running", "analysed", "failed")
_numbers = itertools.count(1)


def analysis(
    state: str = "analysed", findings: tuple[FindingFacts, ...] = (), reason: str | None = None
) -> AnalysisFacts:
    return AnalysisFacts(
        id=next(_numbers),
        model="ich",
        model_version="1.0.0",
        state=state,
        reason=reason,
        has_preview=state == "analysed",
        queued_at=NOW,
        analysed_at=NOW if state == "analysed" else None,
        findings=findings,
    )


def study(minutes: float = 1.0, urgency: int = 3, **changes: object) -> StudyFacts:
    number = next(_numbers)
    facts = StudyFacts(
        study_uid=f"1.2.{number}",
        key=f"{number:032x}",
        patient_id="P1",
        patient_name="DOE^JANE",
        patient_birth_date="19580412",
        patient_sex="F",
        accession_number="A1",
        description="CT Head",
        study_date="20261121",
        study_time="0215",
        modalities=("CT",),
        instances=32,
        state="receiving",
        reason=None,
        urgency=urgency,
        arrived_at=NOW - timedelta(minutes=minutes),
        last_instance_at=NOW,
        claimed_by=None,
        claimed_at=None,
        handed_over_by=None,
        analyses=(),
        parked=(),
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def row(facts: StudyFacts) -> Row:
    return describe_study(facts, NOW, MAXIMUM)


BLEED = FindingFacts("IPH", 12.34, 1, 14)

findings = st.builds(
    FindingFacts,
    label=st.sampled_from(["IPH", "SDH", "SAH"]),
    volume_ml=st.floats(0, 300),
    urgency=st.sampled_from([1, 2, 3]),
    key_slice=st.integers(0, 40),
)
studies = st.builds(
    lambda minutes, urgency, state, reason, analyses, claimed: study(
        minutes,
        urgency,
        state=state,
        reason=reason,
        analyses=tuple(analyses),
        claimed_by="ana" if claimed else None,
        claimed_at=NOW if claimed else None,
    ),
    minutes=st.floats(0, 4000),
    urgency=st.sampled_from([1, 2, 3]),
    state=st.sampled_from(STUDY_STATES),
    reason=st.none() | st.just("Series 2 is incomplete."),
    analyses=st.lists(
        st.builds(analysis, state=st.sampled_from(ANALYSIS_STATES), findings=st.lists(findings, max_size=3).map(tuple)),
        max_size=3,
    ),
    claimed=st.booleans(),
)


@given(studies)
def test_no_state_is_ever_worded_as_free_of_findings(facts: StudyFacts) -> None:
    shown = row(facts)
    words = " ".join(
        (shown.ai_state.value, shown.ai_note or "", shown.promoted or "", *shown.notes, *shown.suspected)
    ).lower()
    assert not any(word in words for word in ("normal", "negative", "clear", "no finding", "%", "probab"))
    assert all(text.startswith("Suspected ") and text.endswith("\u00a0mL") for text in shown.suspected)


@given(studies)
def test_no_flag_raised_is_said_only_when_every_analysis_answered(facts: StudyFacts) -> None:
    says_so = ai_state(facts) is AiState.NO_FLAG
    answered = bool(facts.analyses) and all(one.state == "analysed" and not one.findings for one in facts.analyses)
    assert says_so == (facts.state == "analysed" and answered)


@given(st.lists(studies, max_size=12))
def test_every_study_is_listed_once_and_none_below_one_it_outranks(many: list[StudyFacts]) -> None:
    listed = build_worklist(many, Filters(), NOW, MAXIMUM, limit=500)
    assert sorted(shown.key for shown in listed.rows) == sorted(facts.key for facts in many)
    for above, below in itertools.pairwise(listed.rows):
        assert above.urgency is Urgency.IMMEDIATE or below.urgency is not Urgency.IMMEDIATE
        same_group = above.urgency == below.urgency and bool(above.promoted) == bool(below.promoted)
        assert not same_group or above.waited_since <= below.waited_since
        if below.promoted and above.urgency is not Urgency.IMMEDIATE:
            assert above.promoted


def test_priority_comes_first_then_the_oldest() -> None:
    old_standard, urgent, young_immediate, old_immediate = study(50), study(5, 2), study(1, 1), study(9, 1)
    listed = build_worklist([old_standard, urgent, young_immediate, old_immediate], Filters(), NOW, MAXIMUM, 500)
    assert [shown.key for shown in listed.rows] == [
        facts.key for facts in (old_immediate, young_immediate, urgent, old_standard)
    ]


def test_who_waited_too_long_is_moved_up_and_the_row_says_why() -> None:
    waited, urgent, immediate = study(61), study(30, 2), study(1, 1)
    listed = build_worklist([urgent, waited, immediate], Filters(), NOW, MAXIMUM, 500)
    assert [shown.key for shown in listed.rows] == [facts.key for facts in (immediate, waited, urgent)]
    assert listed.rows[1].promoted == "Moved up: waiting over 60 min"
    assert listed.rows[1].urgency is Urgency.STANDARD  # the AI's priority is not changed by waiting


def test_a_claimed_study_waits_no_longer() -> None:
    shown = row(study(90, claimed_by="ana", claimed_at=NOW - timedelta(minutes=20)))
    assert shown.promoted is None
    assert shown.waited_until == NOW - timedelta(minutes=20)


def test_order_of_arrival_ignores_priority() -> None:
    old, flagged = study(9), study(1, 1)
    listed = build_worklist([flagged, old], Filters(sort=Sort.ARRIVAL), NOW, MAXIMUM, 500)
    assert [shown.key for shown in listed.rows] == [old.key, flagged.key]


def test_filters_choose_rows_and_counts_stay_of_all() -> None:
    flagged = study(1, 1, state="analysed", analyses=(analysis(findings=(BLEED,)),))
    many = [flagged, study(2), study(3)]
    listed = build_worklist(many, Filters(urgency=Urgency.IMMEDIATE), NOW, MAXIMUM, 500)
    assert [shown.key for shown in listed.rows] == [flagged.key]
    assert (listed.total, listed.by_urgency[Urgency.STANDARD], listed.flags_unclaimed) == (3, 2, 1)
    assert not build_worklist(many, Filters(state=AiState.FAILED), NOW, MAXIMUM, 500).rows


def test_what_does_not_fit_is_counted_and_is_least_urgent() -> None:
    many = [study(minutes) for minutes in range(5)] + [study(1, 1)]
    listed = build_worklist(many, Filters(), NOW, MAXIMUM, limit=2)
    assert listed.hidden == 4
    assert listed.rows[0].urgency is Urgency.IMMEDIATE


@pytest.mark.parametrize(
    ("facts", "state", "note"),
    [
        (study(), AiState.RECEIVING, "32 instances so far"),
        (study(state="analysing"), AiState.PENDING, None),
        (study(state="analysing", analyses=(analysis("queued"),)), AiState.QUEUED, None),
        (
            study(state="analysing", analyses=(analysis("queued", reason="The replica was replaced."),)),
            AiState.QUEUED,
            "Trying again. The replica was replaced.",
        ),
        (study(state="analysing", analyses=(analysis("running"), analysis("queued"))), AiState.RUNNING, None),
        (study(state="analysed", analyses=(analysis(),)), AiState.NO_FLAG, None),
        (study(state="analysed"), AiState.PENDING, None),
        (study(state="analysed", analyses=(analysis(findings=(BLEED,)),)), AiState.FLAG, None),
        (
            study(state="analysing", analyses=(analysis(findings=(BLEED,)), analysis("running"))),
            AiState.FLAG,
            "Another analysis is still under way.",
        ),
        (
            study(state="receiving", analyses=(analysis(findings=(BLEED,)),)),
            AiState.FLAG,
            "More instances are arriving; the flag is from the earlier ones.",
        ),
        (study(state="not_applicable", reason="No series fits."), AiState.NOT_ANALYSED, "No series fits."),
        (study(state="parked", reason="3 slices are missing."), AiState.NOT_ANALYSED, "3 slices are missing."),
        (study(state="failed", reason="No answer."), AiState.FAILED, "No answer."),
        (study(state="failed"), AiState.FAILED, "No reason was recorded."),
    ],
)
def test_the_ai_state_and_its_reason(facts: StudyFacts, state: AiState, note: str | None) -> None:
    shown = row(facts)
    assert (shown.ai_state, shown.ai_note) == (state, note)


def test_a_missing_answer_asks_for_attention_and_a_study_no_model_fits_does_not() -> None:
    states = {state: row(study(state=state)).attention for state in STUDY_STATES}
    assert {state for state, attention in states.items() if attention} == {"failed", "parked"}


def test_undelivered_results_and_kept_priorities_are_said() -> None:
    shown = row(
        study(
            urgency=1, state="failed", parked=(ParkedDelivery("pacs", "seg", None), ParkedDelivery("pacs", "sr", None))
        )
    )
    assert shown.notes == ("Not delivered to pacs", "Priority kept from an earlier result")


def test_findings_read_most_urgent_first_then_largest() -> None:
    facts = study(
        state="analysed",
        analyses=(analysis(findings=(FindingFacts("SAH", 90.0, 2, 1), FindingFacts("IVH", 2.0, 1, 1), BLEED)),),
    )
    assert row(facts).suspected == (
        "Suspected IPH 12.3\u00a0mL",
        "Suspected IVH 2.0\u00a0mL",
        "Suspected SAH 90.0\u00a0mL",
    )


def test_an_immediate_result_alerts_until_claimed_and_again_when_it_is_new() -> None:
    facts = study(urgency=1, state="analysed", analyses=(analysis(findings=(BLEED,)),))
    again = replace(facts, analyses=(*facts.analyses, analysis(findings=(BLEED,))))
    assert row(facts).alert
    assert row(facts).alert != row(again).alert
    assert row(replace(facts, claimed_by="ana")).alert is None


@pytest.mark.parametrize(
    ("volume_ml", "text"),
    [(0.0, "<0.1 mL"), (0.099, "<0.1 mL"), (0.1, "0.1 mL"), (12.34, "12.3 mL"), (99.94, "99.9 mL"), (99.95, "100 mL")],
)
def test_volumes(volume_ml: float, text: str) -> None:
    assert format_volume(volume_ml).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("range_ml", "text"),
    [((9.84, 14.06), "9.8 to 14.1 mL"), ((0.0, 0.4), "<0.1 to 0.4 mL"), ((88.0, 130.4), "88.0 to 130 mL")],
)
def test_volume_ranges(range_ml: tuple[float, float], text: str) -> None:
    assert format_range(range_ml).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DOE^JANE^M^DR", "DOE, JANE M"),
        ("DOE", "DOE"),
        ("^JANE", "JANE"),
        ("Wang^XiaoDong=王^小东=ignored", "Wang, XiaoDong (王 小东)"),
        ("=王^小东", "王 小东"),
        ("", "No patient name"),
        (None, "No patient name"),
    ],
)
def test_person_names(name: str | None, text: str) -> None:
    assert format_person_name(name) == text


@given(st.text(max_size=40))
def test_any_person_name_can_be_shown(name: str) -> None:
    assert format_person_name(name)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3900, "1 h 05"), (86400 * 2 + 3600 * 4, "2 d 4 h")],
)
def test_waiting_times(seconds: int, text: str) -> None:
    assert format_wait(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("born", "seen", "details"),
    [
        ("19580412", "20260411", "P1 · F · 67 y"),
        ("19580412", "20260412", "P1 · F · 68 y"),
        ("nonsense", "20260412", "P1 · F"),
        (None, None, "P1 · F"),
        ("20260413", "20260412", "P1 · F"),
    ],
)
def test_age_is_that_on_the_day_of_the_study(born: str | None, seen: str | None, details: str) -> None:
    assert row(study(patient_birth_date=born, study_date=seen)).patient_details == details


def test_dates_that_are_none_stay_as_they_came() -> None:
    assert (format_date("20261121"), format_date("2026"), format_date(None)) == ("2026-11-21", "2026", None)


def opinion(reason: Reason | None, minutes: float = 1.0, account: str = "ana") -> Opinion:
    verdict = Verdict.AGREE if reason is None else Verdict.DISAGREE
    return Opinion(account, verdict, reason, NOW - timedelta(minutes=minutes))


def flagged(*said: Opinion) -> AnalysisFacts:
    return replace(analysis(findings=(BLEED,)), opinions=said)


def test_a_dismissed_flag_takes_its_place_by_arrival_and_raises_no_alarm() -> None:
    dismissed = study(5, urgency=1, state="analysed", analyses=(flagged(opinion(Reason.ARTEFACT)),))
    older, younger = study(9), study(3)
    listed = build_worklist((younger, dismissed, older), Filters(), NOW, MAXIMUM, 10)
    assert [each.key for each in listed.rows] == [older.key, dismissed.key, younger.key]
    shown = row(dismissed)
    assert (shown.ai_state, shown.alert, shown.urgency) == (AiState.FLAG, None, Urgency.IMMEDIATE)
    assert listed.flags_unclaimed == 0


@pytest.mark.parametrize(
    "analyses",
    [
        (flagged(),),
        (flagged(opinion(None)),),
        (flagged(opinion(Reason.ARTEFACT, 5), opinion(None, 1, "bo")),),  # somebody agreed later
        (flagged(opinion(Reason.WRONG_TYPE)),),  # a bleed all the same
        (flagged(opinion(Reason.KNOWN)), flagged()),  # a second flag stands
    ],
)
def test_a_flag_stands_until_every_one_is_dismissed(analyses: tuple[AnalysisFacts, ...]) -> None:
    shown = row(study(urgency=1, state="analysed", analyses=analyses))
    assert shown.dismissed is None
    assert shown.alert is not None


def test_a_dismissed_study_that_waits_too_long_is_still_moved_up() -> None:
    waiting = study(90, urgency=1, state="analysed", analyses=(flagged(opinion(Reason.KNOWN)),))
    assert row(waiting).promoted is not None


def test_a_shift_sorts_studies_by_what_is_left_to_do() -> None:
    open_flag = study(4, urgency=1, state="analysed", analyses=(flagged(),))
    taken = study(5, urgency=1, state="analysed", analyses=(flagged(),), claimed_by="bo", claimed_at=NOW)
    settled = study(6, urgency=2, state="analysed", analyses=(flagged(opinion(Reason.KNOWN)),))
    failed = study(50, state="failed")
    plain = study(7, claimed_by="bo", claimed_at=NOW)
    shift = summarise((plain, failed, settled, taken, open_flag), NOW, MAXIMUM)
    assert [each.key for each in shift.open_flags] == [open_flag.key]
    assert [each.key for each in shift.answered] == [taken.key, settled.key]
    assert [each.key for each in shift.without_answer] == [failed.key]
    assert {name: [each.key for each in rows] for name, rows in shift.held.items()} == {"bo": [taken.key, plain.key]}
    assert (shift.total, shift.longest_wait) == (5, timedelta(minutes=50))
    assert summarise((), NOW, MAXIMUM).longest_wait is None


def test_enhanced_images_are_told_and_are_no_answer_about_findings() -> None:
    made, sent = replace(analysis(), has_image=True), replace(analysis(), has_image=True, image_sent=True)
    for analyses, state, note in (
        ((sent,), AiState.ENHANCED, "Enhanced series sent"),
        ((sent, sent), AiState.ENHANCED, "2 enhanced series sent"),
        ((made, sent), AiState.ENHANCED, "1 enhanced series not sent yet"),
        ((analysis(), sent), AiState.NO_FLAG, "Enhanced series sent"),
        ((replace(analysis("failed"), has_image=False), sent), AiState.FAILED, "r"),
    ):
        row = describe_study(
            study(state="failed" if state is AiState.FAILED else "analysed", reason="r", analyses=analyses),
            NOW,
            MAXIMUM,
        )
        assert (row.ai_state, row.ai_note) == (state, note)
        assert row.suspected == ()
