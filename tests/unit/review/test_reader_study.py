"""A reader study's order and statistics."""

import numpy as np
import pytest

from services.ledger.reader_studies import Rating, StudyImage
from services.review.reader_study import QUESTIONS, compare, order_for

IMAGES = [
    StudyImage(number, f"1.{number // 2}", f"2.{number}", ("low", "enhanced")[number % 2]) for number in range(40)
]


def rating(case: int, arm: str, reader: str, score: int) -> Rating:
    return Rating(0, f"1.{case}", arm, reader, dict.fromkeys(QUESTIONS, score))


def test_every_reader_has_an_order_of_their_own_that_stays() -> None:
    ana, bo = order_for(IMAGES, 1, "ana"), order_for(IMAGES, 1, "bo")
    assert ana == order_for(IMAGES[::-1], 1, "ana")
    assert sorted(ana, key=lambda image: image.id) == IMAGES
    assert ana not in (IMAGES, bo, order_for(IMAGES, 2, "ana"))


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
    assert (first.non_inferior, first.superior) == (True, True)


@pytest.mark.parametrize(
    ("shift", "non_inferior", "superior"), [(1.0, True, True), (-0.1, True, False), (-1.0, False, False)]
)
def test_the_interval_decides_against_margin_and_zero(shift: float, non_inferior: bool, superior: bool) -> None:
    """Many cases whose means differ by `shift`, two readers each."""
    rng = np.random.default_rng(4)
    ratings = []
    for case in range(150):
        base = int(rng.integers(3, 6))
        for reader in ("ana", "bo"):
            moved = base + shift + rng.normal(0, 0.3)
            ratings += [
                rating(case, "full", reader, base),
                rating(case, "enhanced", reader, int(np.clip(np.floor(moved + rng.random()), 1, 7))),
            ]
    [found] = [each for each in compare(ratings, ("full", "enhanced"), 0.5) if each.question == "contrast"]
    assert found.difference.value == pytest.approx(shift, abs=0.15)
    assert (found.non_inferior, found.superior) == (non_inferior, superior)
    assert found.p is not None
    assert (found.p < 0.001) is (abs(shift) == 1.0)


def test_few_cases_have_no_interval_and_equal_ones_no_test() -> None:
    two = [rating(case, arm, "ana", 4) for case in range(2) for arm in ("low", "enhanced")]
    [first, *_] = compare(two, ("low", "enhanced"), 0.5)
    assert (first.difference.lower, first.p, first.non_inferior, first.superior) == (None, None, None, None)
    five = [rating(case, arm, "ana", 4) for case in range(5) for arm in ("low", "enhanced")]
    [first, *_] = compare(five, ("low", "enhanced"), 0.5)
    assert (first.p, first.non_inferior, first.superior) == (None, True, False)
    assert compare([], ("low", "enhanced"), 0.5) == []
