"""What models were found to be worth stands beside their seconds, for the weights that ship alone."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from load_tests import accuracy
from models.registry import load_shipped

MARKED: dict[str, Any] = {
    "detection": {"auc": {"value": 0.98214, "lower": 0.961, "upper": 1.0}, "sensitivity": None, "specificity": None},
    "volume": {"icc": None, "absolute_error_ml": {"median": 1.25, "first": 0.5, "third": 4.0}},
    "overlap": None,
    "largest_false_ml": 16.3136,
}


def report(name: str, digest: str, **found: Any) -> dict[str, Any]:
    model = {"name": name, "version": "1.2.3", "weights_sha256": digest}
    return {"model": model, "dataset": "two heads", "synthetic": False, **found}


def shipped(name: str) -> str:
    card = load_shipped(name)
    assert card is not None
    return card.weights.sha256


def test_marks_and_images_are_told_with_their_intervals() -> None:
    rows = {row["what"]: row for row in accuracy.rows_of(report("ich", "ab", labels={"SDH": MARKED}))}
    assert rows["SDH: AUC"]["value"] == 0.982
    assert rows["SDH: AUC"]["interval"] == "0.961 to 1"
    assert "SDH: sensitivity" not in rows
    assert rows["SDH: median absolute volume error, mL"]["interval"] == "0.5 to 4"
    assert rows["SDH: most marked where there is none, mL"]["value"] == 16.3
    assert not any("Dice" in what for what in rows)
    gain = {"psnr_gain_db": {"value": 1.5, "lower": 1.2, "upper": 1.8}, "ssim_gain": {"value": 0.003}}
    image = report("enhance", "ab", studies={"T1": {"75%": gain, "67%": gain, "noise": gain}})
    assert [row["what"] for row in accuracy.rows_of({**image, "synthetic": "Synthetic images"})] == [
        f"T1, {share} of the lines: {what} over sinc{unit}"
        for share in ("75%", "67%")
        for what, unit in (("PSNR", ", dB"), ("SSIM", ""))
    ]


def test_only_weights_that_ship_enter_and_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models.json").write_text(json.dumps({"figures": [], "data": {}}))
    for folder, digest in (("new", shipped("ich")), ("old", "0" * 64)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "evaluation.json").write_text(json.dumps(report("ich", digest, labels={"SDH": MARKED})))
    reports = [str(tmp_path / "new"), str(tmp_path / "old")]
    monkeypatch.setattr(sys, "argv", ["accuracy", *reports, "--out", str(tmp_path)])
    assert accuracy.main() == 0
    assert "old left out: ich 1.2.3 does not ship." in capsys.readouterr().out.replace("\n", " ")
    kept = accuracy.kept(tmp_path)
    assert {row["weights"] for row in kept} == {shipped("ich")}
    bench = json.loads((tmp_path / "models.json").read_text())
    bench["data"]["accuracy"].append({**kept[0], "weights": "0" * 64})
    (tmp_path / "models.json").write_text(json.dumps(bench))
    assert accuracy.kept(tmp_path) == kept
    assert accuracy.kept(tmp_path / "elsewhere") == []
    # Figures of other images stay beside new ones, those of the same images are replaced.
    other = {**kept[0], "on": "three heads"}
    bench["data"]["accuracy"].append(other)
    (tmp_path / "models.json").write_text(json.dumps(bench))
    monkeypatch.setattr(sys, "argv", ["accuracy", str(tmp_path / "new"), "--out", str(tmp_path)])
    assert accuracy.main() == 0
    assert accuracy.kept(tmp_path) == [other, *kept]
