"""ICC(2,1) and Bland-Altman against the papers that introduced them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.datasets.evaluation.agreement import LIMIT_SDS, BlandAltman, bland_altman, icc

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
