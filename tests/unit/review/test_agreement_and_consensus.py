"""Two readers and what is made of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from services.review.agreement import compare, why_disputed
from services.review.consensus import majority, staple
from services.review.masks import Grid, Mask
from services.review.tasks import AgreementLimits, TaskLabel

SHAPE = (4, 20, 20)
GRID = Grid(
    SHAPE, np.array([[0.0, 0.0, 5.0 * k] for k in range(SHAPE[0])]), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0)
)
LABELS = (
    TaskLabel(value=1, name="core", meaning="", colour=(1, 2, 3)),
    TaskLabel(value=2, name="rim", meaning="", colour=(3, 2, 1)),
)
LIMITS = AgreementLimits(dice=0.7, nsd=0.7, volume_difference_ml=0.5, volume_difference_share=0.2, smallest_ml=0.05)


def box(rows: slice, value: int = 1) -> NDArray[np.uint8]:
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, rows, 5:15] = value
    return labels


def test_a_label_is_measured_where_either_reader_has_it() -> None:
    [found] = compare(Mask(box(slice(5, 15)), GRID), Mask(box(slice(5, 13)), GRID), LABELS, LIMITS)
    assert (found.label, found.first_ml, found.second_ml) == ("core", pytest.approx(1.0), pytest.approx(0.8))
    assert found.dice == pytest.approx(2 * 0.8 / 1.8)
    assert found.lesion_f1 == 1
    assert found.outside == ()
    assert why_disputed([found], LIMITS) is None


def test_what_is_beyond_the_limits_is_said() -> None:
    found = compare(Mask(box(slice(5, 15)), GRID), Mask(box(slice(5, 8)), GRID), LABELS, LIMITS)
    assert why_disputed(found, LIMITS) == ("The readers differ. core: Dice 0.46 < 0.7, NSD 0.61 < 0.7, 1.0 / 0.3 mL.")


def test_a_label_of_a_few_voxels_is_not_disputed_and_one_that_only_one_reader_has_is() -> None:
    nothing, few = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    few[1, 5, 5:10] = 2
    [small] = compare(Mask(nothing, GRID), Mask(few, GRID), LABELS, LIMITS)
    assert (small.dice, small.outside) == (0, ())
    [large] = compare(Mask(nothing, GRID), Mask(box(slice(5, 15)), GRID), LABELS, LIMITS)
    assert "dice" in large.outside
    assert compare(Mask(nothing, GRID), Mask(nothing, GRID), LABELS, LIMITS) == ()


@given(st.lists(arrays(np.uint8, (2, 3, 3), elements=st.integers(0, 3)), min_size=1, max_size=5))
def test_a_majority_is_more_than_half(masks: list[NDArray[np.uint8]]) -> None:
    decided = majority(masks)
    votes = np.stack(masks)
    for index in np.ndindex(decided.shape):
        counts = np.bincount(votes[(slice(None), *index)], minlength=4)
        winner = next((value for value in (1, 2, 3) if counts[value] * 2 > len(masks)), 0)
        assert decided[index] == winner


def test_staple_trusts_good_readers_more_than_a_poor_one() -> None:
    """Readers of known performance: STAPLE finds it, and comes nearer to the truth than any of them."""
    rng = np.random.default_rng(3)
    truth = box(slice(4, 16)) > 0
    masks = []
    for sensitivity, specificity in ((0.95, 0.97), (0.94, 0.96), (0.8, 0.9)):
        random = rng.random(SHAPE)
        masks.append(np.where(truth, random < sensitivity, random > specificity).astype(np.uint8))
    found = staple(masks)
    assert found.labels is not None
    assert found.sensitivity[1][0] == pytest.approx(0.95, abs=0.05)
    assert found.specificity[1][2] == pytest.approx(0.9, abs=0.05)
    wrong = [int(((mask > 0) != truth).sum()) for mask in (*masks, found.labels)]
    assert wrong[3] < min(wrong[:3])


def test_a_collapsed_staple_is_not_offered() -> None:
    """Two readers who mark different places: whatever STAPLE makes of them, the majority is nothing."""
    found = staple([box(slice(5, 15)), np.roll(box(slice(5, 15)), 9, axis=2)])
    assert found.labels is None
    assert found.refused is not None
    assert "by only Dice 0.00 for label 1" in found.refused


def test_staple_of_nothing_is_nothing() -> None:
    empty = np.zeros(SHAPE, np.uint8)
    found = staple([empty, empty])
    assert found.labels is not None
    assert not found.labels.any()
