"""The area under the curve, its intervals and the curve itself, against published values and other ways to compute."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from services.datasets.evaluation.roc import auc, clustered_auc, roc_curve

cases = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: 0 < sum(truth for truth, _ in rows) < len(rows)
)


def columns(rows: list[tuple[bool, int]]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    return np.array([truth for truth, _ in rows], bool), np.array([score for _, score in rows], float)


def test_delong_on_the_ratings_of_hanley_and_mcneil_1982() -> None:
    """109 CT studies rated 1 to 5. Area 0.8932, DeLong SE 0.0307, interval 0.83295 to 0.95339 (Stata, roctab)."""
    normal, abnormal = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
    scores = np.repeat([1.0, 2, 3, 4, 5] * 2, normal + abnormal)
    truth = np.repeat([False, True], [58, 51])
    estimate = auc(truth, scores)
    assert estimate.value == pytest.approx(0.8932, abs=5e-5)
    assert (estimate.lower, estimate.upper) == pytest.approx((0.83295, 0.95339), abs=5e-5)
    assert estimate.of == 109


@given(cases)
def test_the_area_is_the_share_of_pairs_ranked_right(rows: list[tuple[bool, int]]) -> None:
    truth, scores = columns(rows)
    pairs = [(p > n) + (p == n) / 2 for p in scores[truth] for n in scores[~truth]]
    estimate = auc(truth, scores)
    assert estimate.value == pytest.approx(np.mean(pairs))
    u = mannwhitneyu(scores[truth], scores[~truth]).statistic
    assert estimate.value == pytest.approx(u / len(pairs))
    assert estimate.lower is not None
    assert estimate.upper is not None
    assert 0 <= estimate.lower <= estimate.value + 1e-12
    assert estimate.value - 1e-12 <= estimate.upper <= 1


@given(cases)
def test_the_curve_rises_from_corner_to_corner_and_has_the_same_area(rows: list[tuple[bool, int]]) -> None:
    truth, scores = columns(rows)
    alarms, hits = roc_curve(truth, scores)
    assert (alarms[0], hits[0], alarms[-1], hits[-1]) == (0, 0, 1, 1)
    assert (np.diff(alarms) >= 0).all()
    assert (np.diff(hits) >= 0).all()
    assert np.trapezoid(hits, alarms) == pytest.approx(auc(truth, scores).value)


def test_delongs_interval_agrees_with_a_bootstrap() -> None:
    random = np.random.default_rng(3)
    truth = np.repeat([True, False], [60, 80])
    scores = random.normal(truth * 1.2, 1)
    draws = []
    for _ in range(2000):
        chosen = np.concatenate([random.choice(60, 60), 60 + random.choice(80, 80)])
        draws.append(auc(truth[chosen], scores[chosen]).value)
    estimate = auc(truth, scores)
    assert (estimate.lower, estimate.upper) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.01)


@pytest.mark.parametrize(("value", "scores"), [(1.0, [0, 0, 0, 1, 1, 1]), (0.0, [1, 1, 1, 0, 0, 0])])
def test_a_perfect_separation_of_few_is_not_called_certain(value: float, scores: list[float]) -> None:
    truth = np.array([False] * 3 + [True] * 3)
    few = auc(truth, np.array(scores, float))
    many = auc(np.repeat(truth, 100), np.repeat(scores, 100).astype(float))
    assert few.value == many.value == value
    assert few.lower is not None
    assert few.upper is not None
    assert many.lower is not None
    assert many.upper is not None
    assert few.upper - few.lower > 0.3
    assert many.upper - many.lower < 0.05


def test_the_score_interval_of_a_perfect_separation_covers_what_made_it() -> None:
    """Of draws from a true area of .95 that came out perfect, the interval must nearly always hold .95."""
    random = np.random.default_rng(5)
    truth = np.repeat([True, False], 10)
    perfect = [
        estimate
        for estimate in (auc(truth, random.normal(truth * 1.645 * np.sqrt(2), 1)) for _ in range(1000))
        if estimate.value == 1
    ]
    assert len(perfect) > 50
    assert all(estimate.lower is not None and estimate.lower <= 0.95 for estimate in perfect)


def test_without_both_kinds_there_is_no_area() -> None:
    truth = np.ones(3, bool)
    assert auc(truth, np.arange(3.0)).value is None
    assert roc_curve(truth, np.arange(3.0))[0].size == 0
    assert clustered_auc([(truth, np.arange(3.0))]).value is None
    assert clustered_auc([]).value is None


@given(cases)
def test_the_area_of_slices_is_that_of_all_of_them_together(rows: list[tuple[bool, int]]) -> None:
    truth, scores = columns(rows)
    half = len(rows) // 2
    together = clustered_auc([(truth[:half], scores[:half]), (truth[half:], scores[half:])])
    assert together.value == pytest.approx(auc(truth, scores).value)


def test_slices_that_resemble_each_other_do_not_count_as_many() -> None:
    random = np.random.default_rng(1)
    truth = np.tile([True, False], 12)
    scores = random.normal(truth * 1.0, 1)
    alone = clustered_auc([(truth[k : k + 1], scores[k : k + 1]) for k in range(24)])
    copied = clustered_auc([(np.repeat(truth[k], 30), np.repeat(scores[k], 30)) for k in range(24)])
    naive = auc(np.repeat(truth, 30), np.repeat(scores, 30))
    assert copied.value == pytest.approx(alone.value)
    assert (copied.lower, copied.upper) == pytest.approx((alone.lower, alone.upper))
    assert naive.lower is not None
    assert copied.lower is not None
    assert copied.lower < naive.lower


def test_one_study_alone_gives_no_interval_of_slices() -> None:
    one = clustered_auc([(np.array([True, False]), np.array([0.9, 0.1]))])
    assert (one.value, one.lower) == (1.0, None)
