"""A reader study's views and statistics."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from services.ledger.reader_studies import Design, Preference, Rating, ReaderStudy, StudyImage
from services.review.mixed_model import fit_mean
from services.review.reader_statistics import compare, summarise
from services.review.reader_study import QUESTIONS, views_for

IMAGES = [
    StudyImage(number, f"1.{number // 2}", f"2.{number}", ("low", "enhanced")[number % 2]) for number in range(80)
]
STUDY = ReaderStudy(
    1, "Short", ("low", "enhanced"), 0.5, Design.SINGLE, "a seed", "cy", datetime(2026, 1, 1, tzinfo=UTC), None
)
PAIRS = replace(STUDY, design=Design.PAIRS)


def rating(case: int, arm: str, reader: str, score: int) -> Rating:
    return Rating(0, f"1.{case}", arm, reader, dict.fromkeys(QUESTIONS, score))


def preference(case: int, reader: str, score: int) -> Preference:
    return Preference(0, 1, f"1.{case}", "enhanced", reader, bool(case % 2), dict.fromkeys(QUESTIONS, score))


def test_every_reader_has_an_order_of_their_own_that_stays_when_cases_are_added() -> None:
    ana, bo = views_for(STUDY, IMAGES, "ana"), views_for(STUDY, IMAGES, "bo")
    assert ana == views_for(STUDY, IMAGES[::-1], "ana")
    assert sorted(view.images[0].id for view in ana) == list(range(80))
    assert [view.images for view in ana] not in (
        [(image,) for image in IMAGES],
        [view.images for view in bo],
        [view.images for view in views_for(replace(STUDY, seed="another"), IMAGES, "ana")],
    )
    assert {view.token for view in ana}.isdisjoint(view.token for view in bo)
    some = [view for view in ana if view.images[0].id < 50]
    assert views_for(STUDY, IMAGES[:50], "ana") == some


def test_a_pair_is_the_reference_and_another_arm_of_one_case_on_drawn_sides() -> None:
    lone = StudyImage(99, "1.99", "2.99", "enhanced")
    views = views_for(PAIRS, [*IMAGES, lone], "ana")
    assert len(views) == 40
    assert all(len({image.study_uid for image in view.images}) == 1 for view in views)
    left = [view.images[0].arm for view in views]
    assert {view.images[1].arm for view in views} == set(left) == {"low", "enhanced"}
    assert 10 < left.count("low") < 30
    assert left != [view.images[0].arm for view in views_for(PAIRS, IMAGES, "bo")]


def test_a_case_counts_by_the_mean_of_readers_who_rated_both_arms() -> None:
    ratings = [
        *(rating(case, "low", reader, 4) for case in range(4) for reader in ("ana", "bo")),
        *(rating(case, "enhanced", "ana", 5) for case in range(4)),
        *(rating(case, "enhanced", "bo", 6) for case in range(4)),
        rating(0, "enhanced", "cy", 1),  # never rated the other arm
        rating(9, "enhanced", "ana", 1),  # a case without the other arm
    ]
    found = compare(ratings, ("low", "enhanced"), 0.5)
    assert [each.question for each in found] == list(QUESTIONS)
    [first] = [each for each in found if each.question == "noise"]
    assert (first.reference, first.mean, first.difference.value, first.difference.of) == (4, 5.5, 1.5, 4)
    assert first.mixed is None  # readers explain every difference: nothing is left to fit
    assert (first.non_inferior, first.superior) == (True, True)


@pytest.mark.parametrize(
    ("shift", "non_inferior", "superior"), [(1.0, True, True), (-0.1, True, False), (-1.0, False, False)]
)
def test_the_interval_decides_against_margin_and_zero(shift: float, non_inferior: bool, superior: bool) -> None:
    """Many cases whose means differ by `shift`, four readers each; alone and in pairs."""
    rng = np.random.default_rng(4)
    ratings, preferences = [], []
    for case in range(40):
        base = int(rng.integers(3, 6))
        for reader in ("ana", "bo", "cy"):
            moved = int(np.floor(shift + rng.normal(0, 0.3) + rng.random()))
            ratings += [rating(case, "full", reader, base), rating(case, "enhanced", reader, base + moved)]
            preferences.append(preference(case, reader, moved))
    for given in (ratings, preferences):
        [found] = [each for each in compare(given, ("full", "enhanced"), 0.5) if each.question == "contrast"]
        assert found.difference.value == pytest.approx(shift, abs=0.15)
        assert found.mixed is not None
        assert found.mixed.mean == pytest.approx(shift, abs=0.15)
        assert (found.non_inferior, found.superior) == (non_inferior, superior)
        assert found.p is not None
        assert (found.p < 0.001) is (abs(shift) == 1.0)
        assert (found.reference is None) is (given is preferences)


def test_readers_who_disagree_widen_the_interval_that_decides() -> None:
    """One of three readers sees no gain: enough for these readers, not for others."""
    rng = np.random.default_rng(2)
    given = [
        preference(case, reader, int(np.floor(gain + rng.random())))
        for case in range(60)
        for reader, gain in (("ana", 1.2), ("bo", 0.9), ("cy", -0.4))
    ]
    [found, *_] = compare(given, ("full", "enhanced"), 0.5)
    assert found.difference.lower is not None
    assert found.difference.lower > 0
    assert found.lower is not None
    assert found.lower < -0.5
    assert (found.non_inferior, found.superior) == (False, False)


def test_few_cases_have_no_interval_and_equal_ones_no_test() -> None:
    two = [rating(case, arm, "ana", 4) for case in range(2) for arm in ("low", "enhanced")]
    [first, *_] = compare(two, ("low", "enhanced"), 0.5)
    assert (first.difference.lower, first.p, first.non_inferior, first.superior) == (None, None, None, None)
    five = [rating(case, arm, "ana", 4) for case in range(5) for arm in ("low", "enhanced")]
    [first, *_] = compare(five, ("low", "enhanced"), 0.5)
    assert (first.p, first.non_inferior, first.superior) == (None, True, False)
    assert compare([], ("low", "enhanced"), 0.5) == []


def test_results_count_every_point_and_how_readers_agree() -> None:
    given = [rating(case, "low", reader, 1 + case) for case in range(5) for reader in ("ana", "bo")]
    results = summarise(STUDY, [*given, rating(9, "low", "ana", 7)])
    assert (results.readers, results.cases, results.ratings) == (2, 6, 11)
    assert results.distributions[0].counts == (2, 2, 2, 2, 2, 0, 1)
    assert results.agreement["noise"].value == 1.0
    assert summarise(PAIRS, []).distributions[0].arm == "enhanced"


def test_the_mixed_model_agrees_with_the_analysis_of_variance_of_complete_data() -> None:
    """Of complete data whose components are all above zero both are the same estimate (Searle, Casella & McCulloch,
    Variance Components, 1992, section 4.8); statsmodels 0.15 gives 0.2278 with standard error 0.1776 too."""
    rng = np.random.default_rng(1)
    cases, readers = 60, 3
    drawn = 0.4 + rng.normal(0, 0.5, cases)[:, None] + rng.normal(0, 0.2, readers)[None]
    values = np.round(drawn + rng.normal(0, 0.7, (cases, readers)))
    found = fit_mean(values.ravel(), np.repeat(np.arange(cases), readers), np.tile(np.arange(readers), cases))
    assert found is not None
    mean = values.mean()
    of_cases, of_readers = values.mean(axis=1) - mean, values.mean(axis=0) - mean
    between = readers * (of_cases**2).sum() / (cases - 1)
    raters = cases * (of_readers**2).sum() / (readers - 1)
    rest = ((values - mean - of_cases[:, None] - of_readers) ** 2).sum() / ((cases - 1) * (readers - 1))
    variance = between + raters - rest
    freedom = variance**2 / (
        between**2 / (cases - 1) + raters**2 / (readers - 1) + rest**2 / ((cases - 1) * (readers - 1))
    )
    assert found.mean == pytest.approx(mean)
    assert found.case_variance == pytest.approx((between - rest) / readers, rel=1e-3)
    assert found.reader_variance == pytest.approx((raters - rest) / cases, rel=1e-3)
    assert found.rest_variance == pytest.approx(rest, rel=1e-3)
    assert found.freedom == pytest.approx(freedom, rel=1e-3)
    assert (found.upper - found.lower) / 2 == pytest.approx(3.384936 * 0.177606, rel=1e-3)


def test_the_mixed_model_takes_what_is_missing_and_refuses_what_it_cannot_tell() -> None:
    rng = np.random.default_rng(3)
    cases, readers = rng.integers(0, 40, 150), rng.integers(0, 4, 150)
    found = fit_mean(0.3 + rng.normal(0, 1, 150), cases, readers)
    assert found is not None
    assert found.lower < 0.3 < found.upper
    assert fit_mean(rng.normal(0, 1, 9), np.arange(9), np.zeros(9, int)) is None
    assert fit_mean(rng.normal(0, 1, 4), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) is None
    assert fit_mean(np.ones(9), np.arange(9), np.arange(9) % 2) is None
