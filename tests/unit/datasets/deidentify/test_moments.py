"""Dates and times of a patient move together: what lies between two of them stays."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from services.datasets.deidentify.moments import shift_element
from services.datasets.deidentify.pseudonyms import Shift

shifts = st.builds(Shift, st.integers(364, 3640), st.integers(0, 86399))
moments = st.datetimes(datetime(1995, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(microsecond=0))


def moved(at: datetime, shift: Shift) -> datetime:
    dataset = Dataset()
    dataset.StudyDate, dataset.StudyTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    day = shift_element(dataset, "StudyDate", "DA", dataset.StudyDate, shift)
    clock = shift_element(dataset, "StudyTime", "TM", dataset.StudyTime, shift)
    return datetime.strptime(day + clock, "%Y%m%d%H%M%S")


@given(moments, moments, shifts)
def test_the_time_between_two_studies_stays(one: datetime, other: datetime, shift: Shift) -> None:
    assert moved(one, shift) - moved(other, shift) == one - other
    assert one - moved(one, shift) == timedelta(days=shift.days, seconds=shift.seconds)


@given(moments, shifts)
def test_a_date_time_moves_as_a_date_with_its_time_does(at: datetime, shift: Shift) -> None:
    found = shift_element(Dataset(), "AcquisitionDateTime", "DT", f"{at:%Y%m%d%H%M%S}", shift)
    assert found == f"{moved(at, shift):%Y%m%d%H%M%S}"


@pytest.mark.parametrize(
    ("vr", "value", "length"),
    [("TM", "031415.926535", 13), ("TM", "0314", 4), ("TM", "03", 2), ("DT", "20260102030405.25+0100", 22),
     ("DT", "2026", 4), ("DT", "202601", 6), ("DA", "20260102", 8)],
)  # fmt: skip
def test_values_stay_as_precise_as_they_were(vr: str, value: str, length: int) -> None:
    found = shift_element(Dataset(), "Anything", vr, value, Shift(1000, 4000))
    assert len(found) == length
    assert found != value


@pytest.mark.parametrize(
    ("vr", "value"),
    [("DA", "yesterday"), ("DA", "00010101"), ("TM", "2561"), ("DT", "20261345"), ("DA", "20260102-20260103")],
)
def test_what_is_no_date_becomes_empty(vr: str, value: str) -> None:
    assert shift_element(Dataset(), "Anything", vr, value, Shift(3000, 1)) == ""
