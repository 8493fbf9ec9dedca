"""Cases counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.datasets.evaluation.cases import ANY
from services.datasets.evaluation.measuring import Case, Measured, Outcome
from services.datasets.evaluation.overlap import Overlap
from services.datasets.evaluation.summary import Summary, summarize, thickness_group, volume_group


def case(name: str, measured: Measured, *, step_mm: float = 5.0, **attributes: str) -> Case:
    return Case(
        name,
        attributes,
        Outcome.ANALYSED,
        labels={ANY: measured, "blot": measured},
        step_mm=step_mm,
        seconds=float(len(name)),
    )


def seen(truth_ml: float, answer_ml: float, probability: float = 0.9, dice: float = 0.8) -> Measured:
    overlap = Overlap(dice, 0.9, 1.0) if answer_ml else Overlap(0.0, 0.0, None)
    return Measured(True, probability, answer_ml > 0, truth_ml, answer_ml, None, overlap)


def clear(probability: float = 0.1, found: bool = False) -> Measured:
    return Measured(False, probability, found, 0.0, 2.0 if found else 0.0)


def summary_of(*cases: Case) -> Summary:
    return summarize(cases, ["blot"])


def test_a_table_counted_by_hand() -> None:
    """3 of 4 found, 1 of 6 raised in vain, one not read."""
    cases = [case("p", seen(10, 12)) for _ in range(3)] + [case("m", seen(3, 0, probability=0.4))]
    cases += [case("n", clear()) for _ in range(5)] + [case("f", clear(0.8, found=True))]
    cases += [case("u", Measured(None, 0.99, True))]
    found = summary_of(*cases).labels["blot"].detection
    assert (found.positives, found.negatives) == (4, 6)
    shares = [found.sensitivity, found.specificity, found.ppv, found.npv, found.accuracy]
    assert [share.value for share in shares] == [3 / 4, 5 / 6, 3 / 4, 5 / 6, 8 / 10]
    assert [share.of for share in shares] == [4, 6, 4, 6, 10]
    assert found.auc.value == pytest.approx((3 * 6 + 5) / 24)


def test_failures_are_counted_and_enter_no_figure() -> None:
    bad = [
        Case("x", {}, Outcome.FAILED, "Broken."),
        Case("y", {}, Outcome.FAILED, "Broken."),
        Case("z", {}, Outcome.TRUTH_REFUSED, "Odd."),
    ]
    summary = summary_of(*bad, case("p", seen(10, 12)))
    assert summary.outcomes == {"analysed": 1, "failed": 2, "truth refused": 1}
    assert summary.studies == 4
    assert summary.labels["blot"].detection.positives == 1
    nothing = summary_of(*bad)
    assert nothing.labels["blot"].detection.sensitivity.value is None
    assert nothing.slowest_s is None


def test_volumes_are_of_studies_that_show_it_and_a_miss_counts_zero() -> None:
    cases = [case("a", seen(10, 12)), case("b", seen(20, 0)), case("c", seen(30, 27)), case("d", clear(0.9, True))]
    label = summary_of(*cases).labels["blot"]
    assert label.volume is not None
    assert label.volume.points == ((10, 12), (20, 0), (30, 27))
    assert label.volume.absolute_error_ml.median == 3
    assert label.volume.bland_altman.bias.value == pytest.approx((2 - 20 - 3) / 3)
    assert label.overlap is not None
    assert (label.overlap.dice.median, label.overlap.dice.of) == (0.8, 3)
    assert label.overlap.hd95_mm.of == 2
    assert label.beside_abc2 is None


def test_abc2_stands_beside_the_voxels_of_the_same_studies() -> None:
    ruled = [
        Measured(True, 0.9, True, truth, answer, abc, Overlap(1, 1, 0))
        for truth, answer, abc in ((10.0, 11.0, 15.0), (20.0, 19.0, 25.0), (40.0, 42.0, 52.0))
    ]
    cases = [case(str(k), measured) for k, measured in enumerate(ruled)] + [case("no ruler", seen(7, 7))]
    label = summary_of(*cases).labels["blot"]
    assert label.volume is not None
    assert label.volume.truth_ml.of == 4
    assert label.beside_abc2 is not None
    voxels, ruler = label.beside_abc2
    assert voxels.points == ((10, 11), (20, 19), (40, 42))
    assert ruler.points == ((10, 15), (20, 25), (40, 52))


@pytest.mark.parametrize(
    ("mm", "group"),
    [(0.6, "up to 2 mm"), (2, "up to 2 mm"), (2.5, "over 2 to 4 mm"), (4, "over 2 to 4 mm"), (5, "over 4 mm")],
)
def test_groups_of_thickness(mm: float, group: str) -> None:
    assert thickness_group(mm) == group


@pytest.mark.parametrize(
    ("ml", "group"), [(4.99, "under 5 mL"), (5, "5 to 30 mL"), (30, "5 to 30 mL"), (30.1, "over 30 mL")]
)
def test_groups_of_volume(ml: float, group: str) -> None:
    assert volume_group(ml) == group


def test_strata_say_how_many_they_hold() -> None:
    cases = [
        case("a", seen(3, 3), step_mm=1.0, scanner="Beta"),
        case("b", seen(10, 9), scanner="Alpha", thickness_mm="2.5"),
        case("c", clear(), scanner="Alpha", ward="North"),
    ]
    strata = [s for s in summary_of(*cases).strata if s.label == "blot"]
    rows = [(s.by, s.group, s.detection.positives, s.detection.negatives) for s in strata]
    assert rows == [
        ("scanner", "Alpha", 1, 1),
        ("scanner", "Beta", 1, 0),
        ("ward", "North", 0, 1),
        ("slice thickness", "up to 2 mm", 1, 0),
        ("slice thickness", "over 2 to 4 mm", 1, 0),
        ("slice thickness", "over 4 mm", 0, 1),
        ("true volume", "under 5 mL", 1, 0),
        ("true volume", "5 to 30 mL", 1, 0),
    ]
    assert strata[1].absolute_error_ml.median == 0
    assert strata[0].absolute_error_ml.median == 1


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 1)), max_size=30))
def test_every_read_study_is_counted_once(rows: list[tuple[bool, bool, float]]) -> None:
    cases = [case(str(k), Measured(truth, p, found)) for k, (truth, found, p) in enumerate(rows)]
    found = summary_of(*cases).labels["blot"].detection
    assert found.positives + found.negatives == len(rows)
    assert found.ppv.of + found.npv.of == len(rows)
    right = sum(truth == flag for truth, flag, _ in rows)
    if rows:
        assert found.accuracy.value == right / len(rows)
        weights = np.array([found.positives, found.negatives]) / len(rows)
        parts = np.array([found.sensitivity.value or 0, found.specificity.value or 0])
        assert found.accuracy.value == pytest.approx(float(weights @ parts))


def test_what_is_marked_where_there_is_none_is_said() -> None:
    found = summary_of(case("p", seen(10, 12)), case("n", clear()), case("f", clear(0.8, found=True))).labels["blot"]
    assert found.false_ml is not None
    assert (found.false_ml.median, found.false_ml.of, found.largest_false_ml) == (1.0, 2, 2.0)
    assert summary_of(case("p", seen(10, 12))).labels["blot"].false_ml is None
