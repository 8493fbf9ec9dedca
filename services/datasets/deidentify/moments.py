"""Dates and times of one patient, all moved by the same amount (Retain Longitudinal With Modified Dates).

A date and the time that belongs to it move together, past midnight where they must; a date alone moves by whole days
and a time alone around the clock.
"""

import re
from datetime import date, datetime, timedelta
from typing import Final

from pydicom.dataset import Dataset

from services.datasets.deidentify.pseudonyms import Shift

_DATE: Final = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})")
_TIME: Final = re.compile(r"(\d{2})(?:[:]?(\d{2})(?:[:]?(\d{2})(\.\d{1,6})?)?)?")
_DATETIME: Final = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\.\d{1,6})?([+-]\d{4})?")


def shift_element(dataset: Dataset, keyword: str, vr: str, value: str, shift: Shift) -> str:
    """One date, time or date-time moved; empty where it is none, or the calendar ends."""
    value = value.strip()
    try:
        if vr == "DT":
            return _shift_datetime(value, shift)
        partner = _partner(dataset, keyword, vr)
        return _shift_date(value, partner, shift) if vr == "DA" else _shift_time(value, partner, shift)
    except (ValueError, OverflowError):
        return ""


def _partner(dataset: Dataset, keyword: str, vr: str) -> str:
    """The time of a date or the date of a time, by name: StudyDate and StudyTime."""
    one, other = ("Date", "Time") if vr == "DA" else ("Time", "Date")
    if not keyword.endswith(one):
        return ""
    value = dataset.get(keyword.removesuffix(one) + other)
    return value.strip() if isinstance(value, str) else ""


def _shift_date(text: str, time: str, shift: Shift) -> str:
    day = _day(text)
    if clock := _TIME.fullmatch(time):
        return _digits(shift.moment(datetime.combine(day, datetime.min.time()) + _elapsed(clock)).date())
    return _digits(shift.day(day))


def _shift_time(text: str, day: str, shift: Shift) -> str:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError
    start = datetime.combine(_day(day) if _DATE.fullmatch(day) else date(2000, 1, 1), datetime.min.time())
    moved = shift.moment(start + _elapsed(found))
    parts = sum(group is not None for group in found.groups())
    return _clock(moved, parts, found[4])


def _shift_datetime(text: str, shift: Shift) -> str:
    found = _DATETIME.fullmatch(text)
    if found is None:
        raise ValueError
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if day is None:  # a month or a year: as precise as it was
        moved_day = shift.day(date(int(year), int(month or 7), 15))
        return f"{moved_day.year:04d}" + (f"{moved_day.month:02d}" if month else "")
    start = date(int(year), int(month), int(day))
    if hour is None:
        return _digits(shift.day(start))
    elapsed = timedelta(hours=int(hour), minutes=int(minute or 0), seconds=min(int(second or 0), 59))
    moved = shift.moment(datetime.combine(start, datetime.min.time()) + elapsed)
    parts = 1 + (minute is not None) + (second is not None)
    return _digits(moved.date()) + _clock(moved, parts, fraction if second else None) + (zone or "")


def _day(text: str) -> date:
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError
    return date(*(int(part) for part in found.groups()))


def _elapsed(found: re.Match[str]) -> timedelta:
    hour, minute, second = (int(found[group] or 0) for group in (1, 2, 3))
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError
    return timedelta(hours=hour, minutes=minute, seconds=min(second, 59))


def _digits(day: date) -> str:
    return f"{day.year:04d}{day.month:02d}{day.day:02d}"


def _clock(moment: datetime, parts: int, fraction: str | None) -> str:
    """As precise as the original; fractions of a second do not move."""
    text = f"{moment:%H%M%S}"[: 2 * min(parts, 3)]
    return text + (fraction or "")
