"""Lesions counted by hand, and what must hold for any masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.datasets.evaluation.lesions import lesion_f1

MASKS = arrays(np.bool_, (3, 5, 5), elements=st.booleans())


def _mask(*boxes: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros((6, 20, 20), bool)
    for box in boxes:
        mask[box] = True
    return mask


ONE, TWO, THREE = (np.s_[1:3, 2:5, 2:5], np.s_[1:3, 2:5, 9:12], np.s_[4:5, 15:17, 15:17])


def test_two_found_of_three_and_one_false() -> None:
    answer = _mask(np.s_[2:3, 4:6, 4:6], TWO, np.s_[5:6, 0:2, 0:2])
    assert lesion_f1(_mask(ONE, TWO, THREE), answer) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))


def test_one_answer_over_two_lesions_finds_both_and_a_corner_connects() -> None:
    assert lesion_f1(_mask(ONE, TWO), _mask(np.s_[1:3, 2:5, 2:12])) == 1
    corner = _mask(np.s_[0:1, 0:2, 0:2], np.s_[1:2, 2:4, 2:4])
    assert lesion_f1(corner, _mask(np.s_[0:1, 0:1, 0:1])) == 1


def test_nothing_beside_something() -> None:
    assert lesion_f1(_mask(), _mask()) is None
    assert lesion_f1(_mask(ONE), _mask()) == 0
    assert lesion_f1(_mask(), _mask(ONE)) == 0


@given(truth=MASKS, answer=MASKS)
def test_it_is_a_share_and_perfect_on_itself(truth: np.ndarray, answer: np.ndarray) -> None:
    found = lesion_f1(truth, answer)
    assert found is None or 0 <= found <= 1
    if truth.any():
        assert lesion_f1(truth, truth) == 1
