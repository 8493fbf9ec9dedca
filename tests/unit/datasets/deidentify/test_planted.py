"""A sample of the objects of `python -m load_tests deid`, with identifiers in every place one can stand."""

import pytest

from load_tests.deid import score
from load_tests.planted import SEEN, UNSEEN, Cast, plant
from services.datasets.deidentify.pseudonyms import Pseudonyms


@pytest.mark.parametrize(("seed", "cast"), [*((seed, SEEN) for seed in range(6)), (22, UNSEEN), (67, UNSEEN)])
def test_every_action_is_right_and_nothing_leaks(seed: int, cast: Cast) -> None:
    made = plant(seed, cast)
    found = score(made, Pseudonyms(b"k" * 32))
    assert not found.leaks
    assert not found.wrong
    assert bool(found.held) is (made.dataset.Modality == "OT")
    assert found.held or found.right > 50


def test_the_judge_sees_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.datasets.deidentify.header.clean_text", lambda text, _: text)
    found = score(plant(1), Pseudonyms(b"k" * 32))
    assert found.leaks
    assert found.wrong
