"""A hospital's day: as many studies as asked for, more by day than by night, in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.capacity.day import BUSIEST_HOUR, SHARES, arrivals, studies_per_s


def test_a_day_has_its_peak_in_the_morning_and_its_night() -> None:
    assert sum(SHARES) == pytest.approx(1)
    assert 9 <= BUSIEST_HOUR <= 11
    assert sum(SHARES[:6]) < 0.1


@given(st.floats(1, 20_000), st.floats(0, 24, exclude_max=True), st.floats(0, 100_000), st.integers(0, 2**32 - 1))
def test_arrivals_lie_in_their_time_in_order(per_day: float, start_h: float, duration_s: float, seed: int) -> None:
    times = arrivals(per_day, start_h, duration_s, np.random.default_rng(seed))
    assert np.all(np.diff(times) >= 0)
    assert np.all((times >= 0) & (times <= duration_s))


def test_a_day_brings_what_was_asked_for_and_each_hour_its_share() -> None:
    times = arrivals(200_000, 7.5, 86_400, np.random.default_rng(0))
    assert len(times) == pytest.approx(200_000, rel=0.02)
    by_hour = np.bincount(((times / 3600 + 7.5) % 24).astype(int), minlength=24)
    np.testing.assert_allclose(by_hour / len(times), SHARES, rtol=0.06)
    assert by_hour[BUSIEST_HOUR] / 3600 == pytest.approx(studies_per_s(200_000, BUSIEST_HOUR), rel=0.05)
