"""Wilson's interval and quartiles against published values."""

import numpy as np
import pytest

from services.datasets.evaluation.estimate import Quartiles, median, proportion, quartiles


@pytest.mark.parametrize(
    ("part", "whole", "lower", "upper"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_are_those_of_newcombe_1998_table_1_method_3(
    part: int, whole: int, lower: float, upper: float
) -> None:
    estimate = proportion(part, whole)
    assert estimate.value == part / whole
    assert (estimate.lower, estimate.upper) == pytest.approx((lower, upper), abs=5e-5)
    assert estimate.of == whole


def test_nothing_measured_is_no_zero() -> None:
    assert proportion(0, 0).value is None
    assert quartiles([]) == Quartiles()


def test_quartiles_are_interpolated() -> None:
    assert quartiles([1, 2, 3, 4]) == Quartiles(2.5, 1.75, 3.25, 4)


def test_a_median_has_an_interval_from_six_values_on_that_holds_it() -> None:
    assert median([]).value is None
    assert (median([1, 2, 3, 4, 5]).value, median([1, 2, 3, 4, 5]).lower) == (3.0, None)
    six = median([1, 2, 3, 4, 5, 6])
    assert (six.lower, six.upper, six.of) == (1.0, 6.0, 6)
    rng = np.random.default_rng(2)
    held = sum(1 for _ in range(400) if (m := median(rng.exponential(1, 25))).lower <= np.log(2) <= m.upper)  # type: ignore[operator]
    assert held >= 372
