"""`inference.calibrations`: one file a served model, checked when the service starts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from models.registry import load_card
from services.errors import SettingsError
from services.inference.calibrations import read_calibrations
from services.settings import InferenceSettings


def write(path: Path, **changes: Any) -> Path:
    card = load_card("ich")
    point = {"probability": 0.3, "volume_ml": 0.5}
    content = {
        "model": "ich",
        "version": card.version,
        "weights_sha256": card.weights.sha256,
        "use": "high sensitivity",
        "labels": {card.labels[0].name: {"operating_points": {"high sensitivity": point}}},
        **changes,
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_files_are_read_by_model(tmp_path: Path) -> None:
    assert read_calibrations(InferenceSettings()) == {}
    found = read_calibrations(InferenceSettings(calibrations=(write(tmp_path / "a.yaml"),)))
    assert list(found) == ["ich"]


def test_files_that_cannot_be_served_are_refused(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.yaml"), write(tmp_path / "b.yaml")
    other, old = write(tmp_path / "other.yaml", model="other"), write(tmp_path / "old.yaml", version="0.0.1")
    for paths, sentence in (
        ((a, b), "two files are for ich; leave one"),
        ((other,), r"other\.yaml is for other, which is not served"),
        ((old,), r"old\.yaml: The calibration was fitted to ich 0\.0\.1"),
        ((tmp_path / "absent.yaml",), "No such file"),
    ):
        with pytest.raises(SettingsError, match=f"inference.calibrations: .*{sentence}"):
            read_calibrations(InferenceSettings(calibrations=paths))
