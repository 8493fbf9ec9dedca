"""The choice of inputs, without a database."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dicom_router.decide import decide
from dicom_router.rules import load_rules
from services.ledger.routing import SeriesRow
from services.ledger.served_models import ServedModel

RULES = load_rules(None)
ICH = ServedModel("ich", "1", "w", ("NCCT",), (), 30)
AIS = ServedModel("ais", "1", "w", ("DWI", "ADC"), ("FLAIR",), 20)
TUMOR = ServedModel("tumor", "1", "w", ("T1", "T1c", "T2", "FLAIR"), (), 10)
THREE = ServedModel("three", "1", "w", (), ("T1c", "FLAIR", "T2", "T1"), 10, fewest=3)
AXIAL = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}
_MODALITY = {"NCCT": ("CT", "Head 5.0"), "CTA": ("CT", "CTA head"), "none": ("SR", "Dose Report")}


def _series(uid: str, role: str = "NCCT", state: str = "complete", **changes: Any) -> SeriesRow:
    modality, description = _MODALITY.get(role, ("MR", {"T1c": "T1 +C"}.get(role, role)))
    values: dict[str, Any] = {
        "series_uid": uid, "state": state, "reason": "1 slice missing at 5.0 mm." if state == "incomplete" else None,
        "modality": modality, "description": description, "body_part": "HEAD", "study_description": None,
        "sending_ae": None, "instances": 32, "slices": 32, "b_value_max": None, "attributes": AXIAL,
    }  # fmt: skip
    return SeriesRow(**(values | changes))


def _sharp(uid: str, state: str = "complete") -> SeriesRow:
    return _series(uid, state=state, attributes={**AXIAL, "ConvolutionKernel": "H60s"})


def test_the_best_complete_series_is_chosen_and_the_choice_explained() -> None:
    decision = decide([_sharp("bone"), _series("soft"), _series("sr", "none")], RULES, [ICH])
    [run] = decision.runs
    assert run.inputs == {"NCCT": "soft"}
    assert "best score" in run.reason
    assert "among 2 series" in run.reason
    assert "Chosen for NCCT" in decision.reasons["soft"]
    assert "Not chosen: another series scores" in decision.reasons["bone"]
    assert "rule report-or-object" in decision.reasons["sr"]
    assert decision.not_applicable == ""


def test_an_incomplete_better_series_gives_way_to_a_complete_one() -> None:
    decision = decide([_sharp("bone"), _series("soft", state="incomplete")], RULES, [ICH])
    assert [run.inputs for run in decision.runs] == [{"NCCT": "bone"}]
    assert "Not chosen: it is incomplete" in decision.reasons["soft"]


def test_a_worse_series_still_arriving_is_not_waited_for() -> None:
    assert decide([_sharp("bone", "receiving"), _series("soft")], RULES, [ICH]).runs
    assert decide([_sharp("bone"), _series("soft", state="receiving")], RULES, [ICH]).waiting


def test_only_an_incomplete_series_parks_with_what_is_missing() -> None:
    decision = decide([_series("soft", state="incomplete"), _series("sr", "none")], RULES, [ICH])
    assert decision.parked == ("The series for NCCT is incomplete: 1 slice missing at 5.0 mm.",)
    assert decision.not_applicable == ""


def test_every_model_whose_roles_are_there_runs() -> None:
    study = [_series(role, role) for role in ("T1", "T1c", "T2", "FLAIR", "DWI", "ADC")]
    runs = {run.model.name: dict(run.inputs) for run in decide(study, RULES, [ICH, AIS, TUMOR]).runs}
    assert runs == {
        "ais": {"DWI": "DWI", "ADC": "ADC", "FLAIR": "FLAIR"},
        "tumor": {"T1": "T1", "T1c": "T1c", "T2": "T2", "FLAIR": "FLAIR"},
    }


def test_an_optional_role_is_waited_for_but_not_needed() -> None:
    pair = [_series("DWI", "DWI"), _series("ADC", "ADC")]
    assert [dict(run.inputs) for run in decide(pair, RULES, [AIS]).runs] == [{"DWI": "DWI", "ADC": "ADC"}]
    assert decide([*pair, _series("f", "FLAIR", "receiving")], RULES, [AIS]).waiting
    assert decide([*pair, _series("f", "FLAIR", "incomplete")], RULES, [AIS]).runs


def test_a_model_that_needs_three_of_four_takes_what_is_there_and_waits_for_the_fourth() -> None:
    three = [_series(role, role) for role in ("T1", "T2", "FLAIR")]
    assert [set(run.inputs) for run in decide(three, RULES, [THREE]).runs] == [{"T1", "T2", "FLAIR"}]
    assert decide([*three, _series("c", "T1c", "receiving")], RULES, [THREE]).waiting
    [run] = decide([*three, _series("c", "T1c", "incomplete")], RULES, [THREE]).runs
    assert "T1c" not in run.inputs
    assert decide([*three[:2], _series("f", "FLAIR", "incomplete")], RULES, [THREE]).parked


def test_fewer_than_it_needs_is_not_applicable_and_says_what_is_missing() -> None:
    two = [_series("T2", "T2"), _series("FLAIR", "FLAIR")]
    decision = decide(two, RULES, [ICH, THREE])
    assert decision.runs == decision.parked == ()
    assert decision.not_applicable == "Not applicable: missing T1c and T1 for three. The study has FLAIR, T2."
    assert "three is missing T1c and T1" in decision.reasons["T2"]
    assert "three needs 3 of T1c, FLAIR, T2, T1" in decide([_series("none", "none")], RULES, [THREE]).not_applicable


def test_nothing_fits_is_final_only_when_all_is_closed() -> None:
    assert decide([_series("a", "CTA", "receiving")], RULES, [ICH]).not_applicable == ""
    said = decide([_series("a", "CTA")], RULES, [ICH]).not_applicable
    assert said == "No model applies: the study has CTA, but ich needs NCCT."


def test_a_model_that_lacks_a_role_says_which() -> None:
    decision = decide([_series("d", "DWI"), _series("f", "FLAIR")], RULES, [ICH, AIS])
    assert decision.not_applicable == "Not applicable: missing ADC for ais. The study has DWI, FLAIR."
    assert "The best for DWI; ais is missing ADC." in decision.reasons["d"]


def test_series_that_no_model_reads_are_named_beside_a_run() -> None:
    decision = decide([_series("n"), _series("a", "CTA"), _series("d", "DWI")], RULES, [ICH, AIS])
    assert [run.model.name for run in decision.runs] == ["ich"]
    assert "no model reads CTA" in decision.reasons["a"]
    assert "ais is missing ADC" in decision.reasons["d"]


_ROLES = ("NCCT", "CTA", "T1", "T1c", "T2", "FLAIR", "DWI", "ADC", "none")


@given(
    st.lists(st.tuples(st.sampled_from(_ROLES), st.sampled_from(["receiving", "complete", "incomplete"])), max_size=8),
    st.randoms(),
)
def test_decisions_hold_together(kinds: list[tuple[str, str]], random: Any) -> None:
    series = [_series(f"{index}", role, state) for index, (role, state) in enumerate(kinds)]
    states = {one.series_uid: one.state for one in series}
    models = [ICH, AIS, TUMOR]
    decision = decide(series, RULES, models)
    assert set(decision.roles) == set(decision.reasons) == set(states)
    for run in decision.runs:
        assert set(run.model.roles) <= set(run.inputs)
        for role, uid in run.inputs.items():
            assert states[uid] == "complete"
            assert decision.roles[uid].role == role
    if decision.not_applicable:
        assert not decision.runs
        assert not decision.parked
        assert "receiving" not in states.values()
    elif series and "receiving" not in states.values():
        assert decision.runs or decision.parked
    shuffled = list(series)
    random.shuffle(shuffled)
    again = decide(shuffled, RULES, models)
    assert [(run.model.name, run.inputs) for run in again.runs] == [
        (run.model.name, run.inputs) for run in decision.runs
    ]
