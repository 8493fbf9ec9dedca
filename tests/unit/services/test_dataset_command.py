"""`nightjar dataset`: exit code 0 for all written, 1 for something held, 2 for wrong use."""

import json
from pathlib import Path

import pytest
from support.instances import ct, write

from services import cli


@pytest.fixture
def nightjar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> "Command":
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    write(ct(0, BodyPartExamined="CHEST", StudyDescription="Thorax", SeriesDescription=""), tmp_path / "in" / "a.dcm")
    return Command(monkeypatch, capsys)


class Command:
    """The console script, with its exit code and what it printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self._monkeypatch.setattr("sys.argv", ["nightjar", "dataset", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = self._capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err


def test_a_key_then_a_folder(nightjar: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nightjar("deidentify", "in", "out")[0] == 2
    assert nightjar("key", "deid.key")[0] == 0
    code, said, _ = nightjar("deidentify", "in", "out", "--key", "deid.key", "--json")
    content = json.loads(said)
    assert (code, content["objects"], content["held"]) == (0, 1, {})
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == content
    code, _, why = nightjar("deidentify", "in", "out", "--key", "deid.key")
    assert (code, "exists" in why) == (2, True)
    monkeypatch.setenv("NIGHTJAR_DATASETS__KEY_FILE", "deid.key")
    code, said, _ = nightjar("deidentify", "in", "other")
    assert (code, "1 objects of 1 patients" in said) == (0, True)


def test_something_held_is_said_and_ends_with_1(nightjar: Command, tmp_path: Path) -> None:
    write(ct(1, series=2), tmp_path / "in" / "head.dcm")
    nightjar("key", "deid.key")
    code, said, _ = nightjar("deidentify", "in", "out", "--key", "deid.key")
    assert code == 1
    assert "Held: 1: It shows a head" in said
    assert "head.dcm" not in said
    assert "head.dcm" in (tmp_path / "out.held.csv").read_text()
