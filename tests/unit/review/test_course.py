"""What a consistency test measures."""

import pytest

from services.review.course import lowest_icc

LARGE = [(90.0, 91.0), (100.0, 99.0), (110.0, 111.0), (120.0, 119.0)]
SMALL = [(1.0, 4.0), (2.0, 1.0), (3.0, 5.0), (4.0, 0.5)]


def test_the_label_that_agrees_least_decides_not_all_of_them_together() -> None:
    good, poor = lowest_icc({"oedema": LARGE}), lowest_icc({"necrosis": SMALL})
    assert good is not None
    assert poor is not None
    assert good > 0.98
    assert poor < 0.2
    assert lowest_icc({"oedema": LARGE, "necrosis": SMALL}) == poor


def test_labels_of_fewer_than_three_cases_count_together_where_no_label_has_more() -> None:
    rare = lowest_icc({"oedema": LARGE[:2], "necrosis": SMALL[:1]})
    assert rare == pytest.approx(1.0, abs=0.01)
    assert lowest_icc({"oedema": LARGE, "necrosis": SMALL[:2]}) == lowest_icc({"oedema": LARGE})
    assert lowest_icc({"oedema": LARGE[:2]}) is None
    assert lowest_icc({}) is None
