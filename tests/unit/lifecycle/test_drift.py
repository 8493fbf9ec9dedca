"""The stability index: what it is by definition, that chance alone is no drift, and that a shift is one."""

from math import log
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lifecycle.drift import FEWEST, LARGE, OTHERS, Spread, drifts, limit_of, spreads, stability_index

COUNTS = st.integers(2, 8).flatmap(
    lambda bins: st.tuples(*[st.lists(st.integers(0, 500), min_size=bins, max_size=bins)] * 2)
)
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=FEWEST, max_size=120)


def test_the_index_is_what_its_definition_says() -> None:
    # Ten thousand to a bin, so that the half study added to each does not matter.
    before, now = (30_000, 70_000), (50_000, 50_000)
    by_hand = (0.5 - 0.3) * log(0.5 / 0.3) + (0.5 - 0.7) * log(0.5 / 0.7)
    assert stability_index(before, now) == pytest.approx(by_hand, rel=1e-4)


@given(COUNTS)
def test_the_index_is_finite_never_negative_the_same_both_ways_and_zero_of_the_same(
    counts: tuple[list[int], list[int]],
) -> None:
    one, other = counts
    assert stability_index(one, one) == 0
    assert 0 <= stability_index(one, other) < 100
    assert stability_index(one, other) == pytest.approx(stability_index(other, one), rel=1e-9, abs=1e-12)


@given(VALUES, st.lists(st.floats(-1e9, 1e9), max_size=50))
def test_every_number_falls_into_one_bin(values: list[float], others: list[float]) -> None:
    spread = spreads([{"x": value} for value in values])["x"]
    assert spread.studies == len(values)
    assert sum(spread.of(others)) == len(others)
    assert Spread.model_validate(spread.model_dump(mode="json")) == spread
    assert drifts({"x": spread}, [{"x": value} for value in reversed(values)])[0].index == 0


@given(st.lists(st.text(max_size=3), min_size=FEWEST, max_size=80), st.lists(st.text(max_size=3), max_size=20))
def test_every_word_falls_into_one_bin_and_a_new_one_into_the_last(values: list[str], others: list[str]) -> None:
    spread = spreads([{"scanner": value} for value in values])["scanner"]
    assert spread.names[-1] == OTHERS
    assert spread.studies == len(values)
    counts = spread.of(others)
    assert sum(counts) == len(others)
    assert counts[-1] == sum(value not in spread.names[:-1] for value in others)


@given(
    st.integers(FEWEST, 300),
    st.integers(FEWEST, 300),
    st.floats(-1e3, 1e3),
    st.floats(1e-3, 1e3),
    st.sampled_from((-1, 1)),
)
def test_a_shift_by_two_deviations_is_a_drift_and_another_number_of_studies_is_none(
    before: int, now: int, place: float, scale: float, side: int
) -> None:
    bell = NormalDist()

    def drawn(count: int, shift: float) -> list[dict[str, float]]:
        """The values that cut a bell curve into equal parts: no draw, so no luck."""
        return [{"x": place + scale * (bell.inv_cdf((k + 0.5) / count) + shift)} for k in range(count)]

    reference = spreads(drawn(before, 0))
    [same], [moved] = drifts(reference, drawn(now, 0)), drifts(reference, drawn(now, 2 * side))
    assert not same.drifted
    assert moved.drifted
    assert moved.index > LARGE


@pytest.mark.parametrize(("before", "now"), [(50, 50), (200, 50), (1000, 200)])
def test_chance_alone_is_hardly_ever_a_drift(before: int, now: int) -> None:
    drifted = 0
    for seed in range(500):
        random = np.random.default_rng(seed)
        reference = spreads([{"x": float(value)} for value in random.gamma(2, size=before)])
        [found] = drifts(reference, [{"x": float(value)} for value in random.gamma(2, size=now)])
        drifted += found.drifted
    assert drifted <= 3


def test_volumes_that_are_mostly_zero_and_flags_drift_by_their_share() -> None:
    def studies(flagged: int, count: int = 200) -> list[dict[str, float | str]]:
        return [
            {"flag": "yes" if k < flagged else "no", "IPH mL": 12.0 + k if k < flagged else 0.0} for k in range(count)
        ]

    reference = spreads(studies(20))
    assert len(reference["IPH mL"].counts) == 2
    assert {drift.figure for drift in drifts(reference, studies(24)) if drift.drifted} == set()
    found = drifts(reference, studies(90))
    assert {drift.figure for drift in found if drift.drifted} == {"flag", "IPH mL"}
    assert (found[0].before, found[0].studies) in {("no", 200), (0.0, 200)}


def test_too_few_studies_say_nothing_and_fewer_need_a_larger_shift() -> None:
    few = [{"x": float(k)} for k in range(FEWEST - 1)]
    assert spreads(few) == {}
    enough = spreads([*few, {"x": 0.0}])
    assert drifts(enough, few) == []
    assert limit_of(5, 50, 50) > limit_of(5, 500, 100) == LARGE
    assert limit_of(1, 50, 50) == LARGE
