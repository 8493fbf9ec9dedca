"""`nightjar evaluate`: exit codes, the table, JSON, and files that go from one run into the next."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support.labelled import box, load_small, small_card, write_study
from typer.testing import CliRunner

from models.calibration import read_calibration
from services import evaluate_command
from services.cli import app
from services.datasets.evaluation import run
from services.errors import SettingsError

runner = CliRunner()


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "load_model", load_small)
    monkeypatch.setattr(evaluate_command, "_makes_images", lambda _: False)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    random = np.random.default_rng(2)
    for k in range(30):
        p = float(np.clip(random.normal(0.45 if k % 2 else 0.15, 0.1), 0.01, 0.99))
        write_study(tmp_path, f"s{k:02d}", answer=box(1, 40), probabilities=[p, 0.1], truth=box(1, 40 * (k % 2)))
    return tmp_path


def call(base: Path, *more: str) -> tuple[int, str]:
    """What `main` does with errors is its own test; here they come through."""
    arguments = ["--task", "small", "--images", base / "images", "--truth", base / "truth", "--out", base / "out"]
    result = runner.invoke(app, ["evaluate", *map(str, arguments), *more])
    if isinstance(result.exception, SettingsError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout


def test_a_table_and_three_files(base: Path) -> None:
    code, text = call(base, "--synthetic", "--dataset", "tests")
    assert code == 0
    for part in (
        "blot",
        "15/15",
        "Synthetic images: not clinical accuracy.",
        "Prioritisation only. Not for diagnosis.",
    ):
        assert part in text
    assert {p.name for p in (base / "out").iterdir()} == {"evaluation.json", "evaluation.html", "cases.csv"}


def test_json_for_programs_is_what_was_written(base: Path) -> None:
    code, text = call(base, "--json")
    assert code == 0
    assert json.loads(text) == json.loads((base / "out/evaluation.json").read_text())
    assert json.loads(text)["dataset"] == "images"


@pytest.mark.parametrize(
    ("limits", "code", "word"),
    [
        ("blot: {auc: 0.6}", 0, "Limits: met."),
        ("blot: {sensitivity: 0.99}", 1, "Limits: not met."),
        ("stain: {sensitivity: 0.5}", 1, "Limits: cannot be judged."),
    ],
)
def test_a_sites_limits_decide_the_exit_code(base: Path, limits: str, code: int, word: str) -> None:
    (base / "limits.yaml").write_text(limits)
    found, text = call(base, "--limits", str(base / "limits.yaml"))
    assert (found, word in text) == (code, True)


def test_a_failed_study_is_named_and_counted(base: Path) -> None:
    (base / "images/s03.nii.gz").write_bytes(b"no image")
    code, text = call(base)
    assert code == 0
    assert "s03: failed: " in text
    assert "1 of 30 studies are not in the figures." in text


def test_a_calibration_finds_what_the_cards_point_misses(base: Path) -> None:
    _, before = call(base, "--json")
    site = base / "deep/site.yaml"
    code, text = call(base, "--calibrate", str(site))
    assert code == 0
    assert f"Calibration written to {site}." in text
    written = read_calibration(site)
    assert set(written.labels) == {"blot"}
    assert written.use == "high sensitivity"
    assert written.fitted_on.startswith("30 studies, images, ")
    _, after = call(base, "--json", "--calibration", str(site))
    old, new = (json.loads(each) for each in (before, after))
    assert old["labels"]["blot"]["detection"]["sensitivity"]["value"] < 0.5
    assert new["labels"]["blot"]["detection"]["sensitivity"]["value"] >= 0.95
    assert new["labels"]["blot"]["detection"]["auc"] == old["labels"]["blot"]["detection"]["auc"]
    assert new["calibration_file"] == "site.yaml"

    call(base, "--calibrate", str(site), "--use", "high specificity", "--target-specificity", "0.9", "--synthetic")
    again = read_calibration(site)
    assert again.use == "high specificity"
    assert again.fitted_on.endswith("Synthetic images: not clinical accuracy.")


def test_nothing_to_calibrate_is_no_success(base: Path) -> None:
    for k in range(8, 30):
        for kind in ("images", "truth"):
            (base / kind / f"s{k:02d}.nii.gz").unlink()
    code, text = call(base, "--calibrate", str(base / "site.yaml"))
    assert code == 1
    assert "Nothing to calibrate" in text
    assert not (base / "site.yaml").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--limits", "absent.yaml"], "--limits absent.yaml: No such file"),
        (["--calibration", "absent.yaml"], "absent.yaml: No such file"),
        (["--calibration", "a.yaml", "--calibrate", "b/c.yaml"], "leave --calibration away"),
        (["--use", "luck"], "--use luck: there are high sensitivity and high specificity"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_analysed(
    base: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], sentence: str
) -> None:
    monkeypatch.chdir(base)
    monkeypatch.setattr(run, "measure_study", lambda *_, **__: pytest.fail("analysed"))
    with pytest.raises(SettingsError, match=sentence):
        call(base, *more)


def test_an_unknown_task_is_wrong_use(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(SettingsError, match="There is no model small; there are "):
        call(base)


def test_another_version_is_held_beside_it_on_the_same_studies(base: Path) -> None:
    code, text = call(base, "--version", "1.1.0", "--against", "1.0.0", "--json")
    assert code == 0
    compared = json.loads((base / "out/comparison.json").read_text())
    assert json.loads(text)["against"] == compared
    assert (compared["new"]["version"], compared["old"]["version"]) == ("1.1.0", "1.0.0")
    assert compared["labels"]["blot"]["studies"] == 15
    assert compared["labels"]["blot"]["p"] is None  # they say the same
    assert "1.0.0" in call(base, "--version", "1.1.0", "--against", "1.0.0")[1]


def test_a_split_of_a_release_is_evaluated(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.registry.load_card", cache(lambda *_: small_card()))
    studies = [f"s{k:02d}.nii.gz" for k in range(30)]
    index = [
        {"split": "test" if k < 20 else "train", "images": {"NCCT": f"images/{name}"}, "mask": f"truth/{name}"}
        for k, name in enumerate(studies)
    ]
    content = {"name": "Spring", "layout": "bids", "labels": {"blot": 1, "stain": 2}, "index": index, "files": {}}
    (base / "release.json").write_text(json.dumps(content))
    arguments = ["evaluate", "--task", "small", "--release", str(base), "--out", str(base / "out"), "--json"]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["studies"] == 20
    assert found["dataset"] == f"{base.name}, test"
    for more, sentence in (
        (["--split", "validation"], "nobody in it is in the split validation"),
        (["--images", str(base / "images")], "one of the two"),
    ):
        error = runner.invoke(app, [*arguments, *more]).exception
        assert isinstance(error, SettingsError)
        assert sentence in str(error)
