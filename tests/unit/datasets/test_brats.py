"""The lesion-wise rules of BraTS 2023, counted by hand, and beside panoptica where both say the same."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from models.volume import Volume
from services.datasets.evaluation.brats import LesionWise, lesion_wise, summarize_lesions
from services.datasets.evaluation.overlap import measure_overlap

Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]


def grid(shape: tuple[int, int, int] = (24, 24, 40), *, step_mm: float = 1.0, pixel_mm: float = 1.0) -> Volume:
    positions = np.arange(shape[0])[:, None] * np.array([[0.0, 0.0, step_mm]])
    return Volume(np.zeros(shape, np.float32), positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (pixel_mm, pixel_mm))


def mask(volume: Volume, *boxes: Box) -> Mask:
    made = np.zeros(volume.voxels.shape, np.bool_)
    for box in boxes:
        made[box] = True
    return made


ONE, SHIFTED, FAR = np.s_[2:6, 2:6, 2:6], np.s_[2:6, 2:6, 3:7], np.s_[2:6, 2:6, 30:34]


def test_one_found_one_missed_one_false() -> None:
    volume = grid()
    truth, answer = mask(volume, ONE, FAR), mask(volume, SHIFTED, np.s_[20:21, 20:21, 20:21])
    alone = measure_overlap(mask(volume, ONE), mask(volume, SHIFTED), volume)
    assert alone is not None
    assert alone.hd95_mm is not None
    found = lesion_wise(truth, answer, volume)
    assert (found.found, found.missed, found.false) == (1, 1, 1)
    assert found.dice == pytest.approx(2 * 48 / 128 / 3)
    assert found.hd95_mm == pytest.approx((alone.hd95_mm + 2 * 374) / 3)


@pytest.mark.parametrize(("gap", "expected"), [(6, (2 * 64 / (64 + 128), 1, 0)), (7, (0.5, 1, 1))])
def test_parts_of_the_truth_are_one_lesion_where_their_surroundings_meet(
    gap: int, expected: tuple[float, int, int]
) -> None:
    volume = grid()
    truth = mask(volume, ONE, np.s_[2:6, 2:6, 6 + gap : 10 + gap])
    found = lesion_wise(truth, mask(volume, ONE), volume)
    assert (found.dice, found.found, found.missed) == pytest.approx(expected)


def test_an_answer_in_the_surroundings_finds_and_counts_whole_for_each_lesion_it_reaches() -> None:
    volume = grid()
    beside = lesion_wise(mask(volume, ONE), mask(volume, np.s_[2:6, 2:6, 8:12]), volume)
    assert (beside.dice, beside.found, beside.false) == (0.0, 1, 0)
    too_far = lesion_wise(mask(volume, ONE), mask(volume, np.s_[2:6, 2:6, 9:13]), volume)
    assert too_far == LesionWise(0.0, 374.0, 0, 1, 1)
    both = lesion_wise(mask(volume, ONE, FAR), mask(volume, np.s_[2:6, 2:6, 2:34]), volume)
    assert (both.found, both.missed, both.false) == (2, 0, 0)
    assert both.dice == pytest.approx(2 * 64 / (64 + 16 * 32))


def test_the_smallest_are_not_scored_and_what_finds_them_is_not_false() -> None:
    volume = grid()
    small, larger = np.s_[10:12, 10:15, 10:15], np.s_[10:12, 10:15, 10:16]
    assert lesion_wise(mask(volume, small), mask(volume, small), volume) == LesionWise(1.0, 0.0, 0, 0, 0)
    assert lesion_wise(mask(volume, small), mask(volume), volume) == LesionWise(1.0, 0.0, 0, 0, 0)
    assert lesion_wise(mask(volume, larger), mask(volume, larger), volume) == LesionWise(1.0, 0.0, 1, 0, 0)


def test_nothing_beside_something() -> None:
    volume = grid()
    nothing, something = mask(volume), mask(volume, ONE)
    assert lesion_wise(nothing, nothing, volume) == LesionWise(1.0, 0.0, 0, 0, 0)
    assert lesion_wise(something, nothing, volume) == LesionWise(0.0, 374.0, 0, 1, 0)
    assert lesion_wise(nothing, something, volume) == LesionWise(0.0, 374.0, 0, 0, 1)


def test_the_reach_is_three_steps_to_18_neighbours_on_voxels_of_1_mm() -> None:
    volume = grid()
    truth = mask(volume, np.s_[12:13, 12:13, 20:21])
    steps = ndimage.binary_dilation(truth, ndimage.generate_binary_structure(3, 2), iterations=3)
    for place in zip(*np.nonzero(mask(volume, np.s_[12:17, 12:17, 20:25])), strict=True):
        answer = mask(volume)
        answer[place] = True
        assert (lesion_wise(truth, answer, volume).false == 0) == steps[place]


def test_the_reach_is_in_millimetres() -> None:
    thick = grid((8, 24, 40), step_mm=5.0)
    apart = mask(thick, np.s_[1:2, 2:6, 2:6], np.s_[3:4, 2:6, 2:6])
    assert lesion_wise(apart, mask(thick), thick).missed == 2
    fine = grid(pixel_mm=0.5)
    for gap, lesions in ((12, 1), (13, 2)):
        truth = mask(fine, np.s_[2:10, 2:10, 2:10], np.s_[2:10, 2:10, 10 + gap : 18 + gap])
        assert lesion_wise(truth, mask(fine), fine).missed == lesions


def test_a_summary_is_of_studies_and_its_counts_of_lesions() -> None:
    found = summarize_lesions([LesionWise(1.0, 0.0, 0, 0, 0), LesionWise(0.5, 187.0, 2, 1, 1)])
    assert (found.studies, found.dice, found.hd95_mm) == (2, 0.75, 93.5)
    assert (found.found, found.missed, found.false) == (2, 1, 1)


def test_lesions_that_stand_apart_and_are_met_one_by_one_score_as_by_panoptica() -> None:
    """Two definitions that agree there: panoptica 2.1.7 (DSC, threshold 0.01) was run once on these masks."""
    volume = grid()
    truth = mask(volume, ONE, np.s_[14:20, 3:9, 4:9], np.s_[3:7, 14:20, 20:30], np.s_[16:21, 16:21, 30:35])
    answer = mask(volume, SHIFTED, np.s_[15:21, 3:8, 4:10], np.s_[4:7, 14:20, 18:29], np.s_[20:22, 2:4, 30:33])
    quality, matched, false, missed = 0.7280568239472348, 3, 1, 1
    found = lesion_wise(truth, answer, volume)
    assert (found.found, found.false, found.missed) == (matched, false, missed)
    assert found.dice == pytest.approx(quality * matched / (matched + false + missed), abs=1e-6)
