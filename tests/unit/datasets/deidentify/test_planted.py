"""A sample of the objects of `python -m load_tests deid`, with identifiers in every place one can stand."""

import pytest

from load_tests.deid import score
from load_tests.planted import plant
from services.datasets.deidentify.pseudonyms import Pseudonyms


@pytest.mark.parametrize("seed", range(6))
def test_every_action_is_right_and_nothing_leaks(seed: int) -> None:
    found = score(plant(seed), Pseudonyms(b"k" * 32))
    assert not found.leaks
    assert not found.wrong
    assert found.right > 50


def test_the_judge_sees_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.datasets.deidentify.header.clean_text", lambda text, _: text)
    found = score(plant(1), Pseudonyms(b"k" * 32))
    assert found.leaks
    assert found.wrong
