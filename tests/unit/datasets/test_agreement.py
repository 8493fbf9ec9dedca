"""ICC(2,1) and Bland-Altman against the papers that introduced them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.datasets.evaluation.agreement import LIMIT_SDS, BlandAltman, bland_altman, cohen_kappa, fleiss_kappa, icc

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
"""Six subjects, four judges: Shrout & Fleiss 1979, table 2."""

WRIGHT = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427], float)
MINI_WRIGHT = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451], float)
"""Peak expiratory flow of 17 people by two meters, l/min: Bland & Altman 1986, table 1, first measurements."""


def test_icc_of_shrout_and_fleiss() -> None:
    """ICC(2,1) = 0.29; the interval 0.019 to 0.761 is what R's psych::ICC gives for the same table."""
    estimate = icc(SHROUT_FLEISS)
    assert estimate.value == pytest.approx(0.290, abs=5e-4)
    assert (estimate.lower, estimate.upper) == pytest.approx((0.019, 0.761), abs=1e-3)
    assert estimate.of == 6


def test_bland_and_altmans_peak_flow() -> None:
    found = bland_altman(MINI_WRIGHT, WRIGHT)
    assert found.bias.value == pytest.approx(-2.1, abs=0.05)
    assert (found.bias.lower, found.bias.upper) == pytest.approx((-22.0, 17.8), abs=0.1)
    assert found.lower_limit.value is not None
    assert found.upper_limit.value is not None
    deviation = (found.upper_limit.value - found.lower_limit.value) / (2 * LIMIT_SDS)
    assert deviation == pytest.approx(38.8, abs=0.05)
    # The paper takes 2 standard deviations where 1.96 are meant.
    assert found.bias.value - 2 * deviation == pytest.approx(-79.7, abs=0.1)
    assert found.bias.value + 2 * deviation == pytest.approx(75.5, abs=0.1)
    assert found.lower_limit.lower - found.lower_limit.value == pytest.approx(-114.3 + 79.7, abs=0.1)
    assert found.upper_limit.upper - found.upper_limit.value == pytest.approx(110.1 - 75.5, abs=0.1)


volumes = arrays(float, st.tuples(st.integers(4, 12), st.just(2)), elements=st.floats(0.125, 100))


@pytest.mark.parametrize("last", [(1, 3), (1, 20)])
def test_raters_who_contradict_each_other_get_a_value_without_an_interval(last: tuple[float, float]) -> None:
    found = icc(np.array([[last[1] + 1, 1.0], [last[1] + 1, 1], [last[1] + 1, 1], last]))
    assert found.value is not None
    assert found.value < 0
    assert (found.lower is None) == (found.upper is None)
    assert found.lower is None or found.lower <= found.value


@given(volumes)
def test_icc_treats_both_raters_alike_and_punishes_a_bias(ratings: np.ndarray) -> None:
    first, swapped = icc(ratings), icc(ratings[:, ::-1])
    if first.value is None:
        assert swapped.value is None
        return
    assert first.value == pytest.approx(swapped.value, abs=1e-9)
    if first.lower is not None and first.upper is not None:
        assert -1 - 1e-9 <= first.lower - 1e-9 <= first.value <= first.upper + 1e-9 <= 1 + 2e-9
    same = np.repeat(ratings[:, :1], 2, axis=1)
    perfect, shifted = icc(same), icc(same + np.array([0, 200]))
    if perfect.value is not None and shifted.value is not None:
        assert perfect.value == pytest.approx(1)
        assert shifted.value < perfect.value


@given(volumes, st.floats(-50, 50))
def test_a_constant_error_is_all_bias_and_widens_no_limit(ratings: np.ndarray, error: float) -> None:
    before, after = bland_altman(*ratings.T), bland_altman(ratings[:, 0], ratings[:, 1] + error)
    for name in ("bias", "lower_limit", "upper_limit"):
        old, new = getattr(before, name).value, getattr(after, name).value
        assert new == pytest.approx(old + error, abs=1e-6)


def test_what_two_subjects_cannot_tell_is_not_told() -> None:
    two = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert icc(two).value is None
    assert bland_altman(*two.T) == BlandAltman()
    assert icc(np.ones((5, 2))).value is None


def test_cohen_kappa_of_a_published_table() -> None:
    """Agreement 35 of 50 with 20 + 15 on the diagonal: kappa 0.4; the interval by its own formula for two classes."""
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    found = cohen_kappa(first, second)
    assert found.value == pytest.approx(0.4)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < 0.4 < found.upper
    assert found.upper - found.lower == pytest.approx(2 * 1.96 * 0.127, abs=0.01)


def test_cohen_kappa_where_it_says_nothing_or_everything() -> None:
    ones = np.ones(10, np.int64)
    assert cohen_kappa(ones, ones).value is None
    mixed = np.array([0, 1] * 5)
    assert (cohen_kappa(mixed, mixed).value, cohen_kappa(mixed, mixed).lower) == (1.0, None)
    assert cohen_kappa(mixed, 1 - mixed).value == pytest.approx(-1.0)


def test_fleiss_kappa_of_a_known_table() -> None:
    """Ten subjects, fourteen raters, five classes: 0.210 (the example that reference works print)."""
    counts = np.array(
        [
            [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
        ]
    )  # fmt: skip
    found = fleiss_kappa(counts)
    assert found.value == pytest.approx(0.210, abs=0.0005)
    assert found.lower is not None
    assert found.lower < 0.210


def test_kappa_intervals_hold_what_they_promise() -> None:
    """Of many samples of raters who agree by a known kappa, about 95 % of intervals hold it."""
    rng = np.random.default_rng(5)
    held_cohen = held_fleiss = 0
    for _ in range(400):
        truth = rng.integers(0, 2, 150)
        raters = [np.where(rng.random(150) < 0.7, truth, rng.integers(0, 2, 150)) for _ in range(2)]
        cohen = cohen_kappa(*raters)
        there = np.sum(raters, axis=0)
        fleiss = fleiss_kappa(np.stack([there, 2 - there], axis=1))
        assert cohen.lower is not None
        assert cohen.upper is not None
        assert fleiss.lower is not None
        assert fleiss.upper is not None
        held_cohen += cohen.lower <= 0.49 <= cohen.upper
        held_fleiss += fleiss.lower <= 0.49 <= fleiss.upper
    assert held_cohen >= 368
    assert held_fleiss >= 368
