"""`nightjar train` says what it cannot do, and what to do then."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.errors import SettingsError


def refusal(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["train", *arguments])
    assert isinstance(result.exception, SettingsError)
    return str(result.exception)


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.startswith(("models.finetune.run", "models.training"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    said = refusal("finetune", "--task", "ich", "--release", str(tmp_path), "--out", str(tmp_path / "new"))
    assert "pip install -r requirements/train.txt" in said


def test_what_cannot_be_learned_or_chosen_is_said(tmp_path: Path) -> None:
    release = ("--release", str(tmp_path), "--out", str(tmp_path / "new"))
    assert refusal("finetune", "--task", "enhance", *release) == "--task enhance: write ich or ais."
    assert refusal("select", "--task", "ich", "--strategy", "best").endswith("write random, entropy, disagreement.")
