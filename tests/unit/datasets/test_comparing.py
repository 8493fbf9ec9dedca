"""What one version gained and lost beside another, on studies small enough to count by hand."""

import pytest

from services.datasets.evaluation.cases import ANY
from services.datasets.evaluation.comparing import compare
from services.datasets.evaluation.measuring import Case, Measured, Outcome
from services.datasets.evaluation.overlap import Overlap


def case(study: str, truth: bool, found: bool, dice: float | None = None) -> Case:
    overlap = None if dice is None else Overlap(dice=dice, nsd=dice, hd95_mm=1.0, lesion_f1=dice)
    measured = Measured(truth=truth, probability=0.5, found=found, overlap=overlap)
    return Case(study, {}, Outcome.ANALYSED, labels={ANY: measured, "IPH": measured})


OLD = [case("a", True, False, 0.0), case("b", True, True, 0.6), case("c", False, True), case("d", True, True, 0.5)]
NEW = [case("d", True, True, 0.7), case("c", False, False), case("b", True, True, 0.8), case("a", True, True, 0.5)]


def test_the_same_studies_are_held_beside_each_other() -> None:
    found = compare([*NEW, case("new alone", True, True, 1.0)], OLD, ["IPH"])["IPH"]
    assert found.studies == 3
    assert found.dice_new == pytest.approx((0.5 + 0.8 + 0.7) / 3)
    assert found.dice_old == pytest.approx((0.0 + 0.6 + 0.5) / 3)
    assert found.p == pytest.approx(0.25)
    assert (found.found, found.lost, found.false_gained, found.false_lost) == (1, 0, 0, 1)


def test_what_was_not_analysed_by_both_is_left_out() -> None:
    failed = Case("a", {}, Outcome.FAILED, "The image is broken.")
    found = compare(NEW, [failed, *OLD[1:]], ["IPH"])[ANY]
    assert (found.studies, found.found) == (2, 0)


def test_nothing_changed_has_no_p() -> None:
    assert compare(OLD, OLD, ["IPH"])["IPH"].p is None
    assert compare([], [], ["IPH"])["IPH"].dice_new is None
