"""Which studies come next: every strategy keeps to quality and diversity, and does what its name says."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.datasets.choosing import (
    MOST_OF_A_SCANNER,
    MOST_UNCERTAIN,
    Candidate,
    Strategy,
    choose,
    disagreement,
    predictive_entropy,
)

candidates = st.lists(
    st.builds(
        Candidate,
        analysis_id=st.integers(0, 10**6),
        patient=st.sampled_from("abcdefgh"),
        scanner=st.sampled_from(["one", "two", "three"]),
        marks=st.booleans(),
        entropy=st.floats(0, 2),
        disagreement=st.none() | st.floats(0, 1),
        unfit=st.none() | st.just("Too poor."),
    ),
    max_size=30,
    unique_by=lambda each: each.analysis_id,
)


@given(candidates, st.sampled_from(list(Strategy)), st.integers(1, 12), st.integers(0, 3))
def test_none_that_is_unfit_one_a_patient_and_as_many_as_there_are(
    found: list[Candidate], strategy: Strategy, count: int, seed: int
) -> None:
    chosen = choose(found, strategy, count, seed=seed)
    assert all(each.unfit is None for each in chosen)
    assert len({each.patient for each in chosen}) == len(chosen)
    fit = [each for each in found if each.unfit is None]
    can_be = [each for each in fit if strategy is not Strategy.DISAGREEMENT or each.disagreement is not None]
    assert len(chosen) == min(count, len({each.patient for each in can_be}))
    assert chosen == choose(found, strategy, count, seed=seed)


@given(candidates, st.sampled_from(list(Strategy)), st.integers(1, 12), st.integers(0, 10))
def test_who_may_not_makes_room_for_the_next_and_is_asked_once(
    found: list[Candidate], strategy: Strategy, count: int, banned: int
) -> None:
    asked: list[int] = []

    def may(candidate: Candidate) -> bool:
        asked.append(candidate.analysis_id)
        return candidate.analysis_id % 11 != banned

    chosen = choose(found, strategy, count, may=may)
    assert len(asked) == len(set(asked))
    allowed = [each for each in found if each.analysis_id % 11 != banned]
    assert len(chosen) == len(choose(allowed, strategy, count))
    assert {each.analysis_id for each in chosen} <= {each.analysis_id for each in allowed}


def many(number: int) -> list[Candidate]:
    """Of one scanner and as many patients; the later, the more uncertain."""
    return [
        Candidate(k, str(k), "one", marks=k < 40, entropy=k / number, disagreement=k / number) for k in range(number)
    ]


def test_one_scanner_gets_no_more_than_its_share_while_others_have_any() -> None:
    common = many(20)
    rare = [Candidate(100 + k, f"r{k}", "two", False, 0.0) for k in range(3)]
    scanners = Counter(each.scanner for each in choose(common + rare, Strategy.ENTROPY, 6))
    assert scanners == {"one": 6 * MOST_OF_A_SCANNER, "two": 3}
    assert len(choose(common, Strategy.ENTROPY, 6)) == 6  # there is no other


@pytest.mark.parametrize("strategy", [Strategy.ENTROPY, Strategy.DISAGREEMENT])
def test_the_most_uncertain_come_first(strategy: Strategy) -> None:
    assert [each.analysis_id for each in choose(many(10), strategy, 3)] == [9, 8, 7]


def test_random_draws_a_half_among_what_is_marked() -> None:
    found = many(300)
    shares = [sum(each.marks for each in choose(found, Strategy.RANDOM, 20, seed=seed)) / 20 for seed in range(50)]
    assert sum(shares) / 50 == pytest.approx(0.5, abs=0.06)
    assert choose(found, Strategy.RANDOM, 20, seed=1) != choose(found, Strategy.RANDOM, 20, seed=2)


def test_entropy_is_of_the_most_uncertain_slices() -> None:
    sure, torn = [0.0, 1.0] * 20, [0.5] * MOST_UNCERTAIN
    assert predictive_entropy({"IPH": sure}) == pytest.approx(0.0, abs=1e-6)
    assert predictive_entropy({"IPH": sure + torn}) == pytest.approx(1.0)
    assert predictive_entropy({"IPH": sure + torn, "SDH": sure + torn}) == pytest.approx(2.0)
    assert predictive_entropy({}) == 0.0


def test_disagreement_is_what_two_versions_do_not_share() -> None:
    assert disagreement([0.8, None, 0.4]) == pytest.approx(0.4)
    assert disagreement([None]) == 0.0
