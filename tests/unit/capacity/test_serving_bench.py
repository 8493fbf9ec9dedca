"""The serving bench keeps what a stage measured when another fails, and says which promises its figures keep."""

import json
import warnings
from pathlib import Path

import pytest

from load_tests.record import Figure

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own use of what it imports
    from load_tests import serving

FIGURES = {
    "overhead": [{"what": "served to bare", "value": 1.2, "unit": "x"}, {"what": "overhead", "value": 8, "unit": "ms"}],
    "loss": [{"what": "a replica lost to none lost, p99", "value": 2.5, "unit": "x"}],
}


def test_a_stage_that_fails_costs_no_other_and_is_tried_again_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    works = {"overhead"}

    def run(name: str, path: Path, scratch: Path, *, quick: bool) -> None:
        assert quick
        assert scratch.name == name
        ran.append(name)
        if name in works:
            said = {"conditions": f"{name}.", "figures": FIGURES[name], "data": {name: 1}}
            path.write_text(json.dumps(said), encoding="utf-8")

    monkeypatch.setattr(serving.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(serving, "STAGES", dict.fromkeys(FIGURES))
    monkeypatch.setattr(serving, "_run", run)
    first = serving.measure(tmp_path / "scratch", quick=True)
    assert first.conditions == "overhead. Failed, and without figures: loss."
    works.add("loss")
    second = serving.measure(tmp_path / "scratch", quick=True)
    assert ran == ["overhead", "loss", "loss"]
    assert second.conditions == "overhead. loss."
    assert [figure.what for figure in second.figures] == [each["what"] for part in FIGURES.values() for each in part]
    assert second.data["overhead"] == second.data["loss"] == 1
    assert list(tmp_path.iterdir()) == [], "a run of everything begins anew"


def test_promises_are_held_against_the_figures() -> None:
    kept = {each["what"]: each["kept"] for each in serving.promised([Figure(**f) for p in FIGURES.values() for f in p])}
    assert kept == {"served to bare": True, "a replica lost to none lost, p99": False}, "8 ms are below 10"
