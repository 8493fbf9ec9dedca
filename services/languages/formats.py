"""Dates, times and numbers as the language of the moment writes them. Times are UTC and say so."""

from datetime import UTC, date, datetime

from babel.dates import format_date as _format_date
from babel.dates import format_time as _format_time
from babel.numbers import format_decimal

from services.languages.speaking import current


def format_day(day: date) -> str:
    """`2026-11-21`; `2026年11月21日`."""
    language = current()
    return _format_date(day, language.date_pattern, locale=language.locale)


def format_time(at: datetime) -> str:
    """`03:12:45 UTC`."""
    return f"{_format_time(at.astimezone(UTC), 'HH:mm:ss', locale=current().locale)} UTC"


def format_clock(at: datetime) -> str:
    """Day and time."""
    return f"{format_day(at.astimezone(UTC))} {format_time(at)}"


def format_number(value: float, digits: int = 0) -> str:
    """A number with so many digits after the decimal sign."""
    return format_decimal(value, "#,##0" + ("." + "0" * digits if digits else ""), locale=current().locale)
