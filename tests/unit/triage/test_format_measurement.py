"""Measurements as people read them."""

import pytest

from models.card import CHOICE, SIGN, Code, Measure
from services.triage.rows import format_measurement


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (6.25, "mm", "6.2\u00a0mm"),
        (1.0, SIGN, "present"),
        (0.0, SIGN, "absent"),
        (3.0, "{lesions}", "3"),
        (1.274, "{ratio}", "1.27"),
        (551.6, "10*-6.mm2/s", "552\u00a0×\u00a010⁻⁶\u00a0mm²/s"),
    ],
)
def test_units_are_words_people_use(value: float, unit: str, shown: str) -> None:
    assert format_measurement(value, _measure(unit)) == shown


def test_a_choice_is_its_answer() -> None:
    answers = tuple(Code(value=word.upper(), scheme="99TEST", meaning=word) for word in ("unknown", "left", "right"))
    assert [format_measurement(value, _measure(CHOICE, answers)) for value in (0.0, 2.0)] == ["unknown", "right"]


def _measure(unit: str, answers: tuple[Code, ...] = ()) -> Measure:
    return Measure(name="any", unit=unit, meaning="any", code=Code(value="ANY", meaning="any"), answers=answers)
