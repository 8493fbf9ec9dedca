"""A site's calibration: the line it draws, the file it comes in, and the card it changes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.labelled import small_card

from models.calibration import ModelCalibration, calibrate_card, calibrated, read_calibration
from models.card import Calibration, OperatingPoint
from models.errors import InvalidCard

probabilities = st.floats(0, 1)
lines = st.builds(Calibration, slope=st.floats(0.1, 10), intercept=st.floats(-5, 5))


def content(**changes: Any) -> dict[str, Any]:
    card = small_card()
    points = {"high sensitivity": {"probability": 0.2, "volume_ml": 0}, "careful": {"probability": 0.8, "volume_ml": 1}}
    return {
        "model": card.name,
        "version": card.version,
        "weights_sha256": card.weights.sha256,
        "use": "careful",
        "labels": {"blot": {"calibration": {"slope": 2, "intercept": -1}, "operating_points": points}},
        **changes,
    }


def read(tmp_path: Path, **changes: Any) -> ModelCalibration:
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(content(**changes)))
    return read_calibration(path)


@given(probabilities)
def test_the_default_changes_nothing(p: float) -> None:
    assert calibrated(p, Calibration()) == p


@given(probabilities, probabilities, lines)
def test_a_probability_stays_one_and_keeps_its_rank(p: float, q: float, line: Calibration) -> None:
    low, high = sorted((p, q))
    assert 0 <= calibrated(low, line) <= calibrated(high, line) <= 1


def test_the_line_is_on_the_logit_scale() -> None:
    """logit(0.8) = ln 4: twice it, less ln 2, is ln 8."""
    assert calibrated(0.8, Calibration(slope=2, intercept=-0.6931471805599453)) == pytest.approx(8 / 9)
    assert 0.999 < calibrated(1.0, Calibration(slope=1.5)) < 1


def test_the_card_gets_the_line_and_the_point_in_use(tmp_path: Path) -> None:
    card = calibrate_card(small_card(), read(tmp_path))
    blot, stain = card.labels
    assert blot.calibration == Calibration(slope=2, intercept=-1)
    assert blot.operating_point == OperatingPoint(probability=0.8, volume_ml=1)
    assert stain == small_card().labels[1]
    assert small_card().labels[0].calibration == Calibration()
    other = calibrate_card(small_card(), read(tmp_path, use="high sensitivity"))
    assert other.labels[0].operating_point.probability == 0.2
    # Other answers are other results: the version that everything is named after says so.
    assert len({small_card().version, card.version, other.version}) == 3
    assert card.version == calibrate_card(small_card(), read(tmp_path)).version


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": "other"}, "is for other, not for small"),
        ({"version": "2.0.0"}, "fitted to small 2.0.0 .* installed is 1.0.0 .* Calibrate again"),
        ({"weights_sha256": "cd" * 32}, "weights cdcdcdcdcdcd.*abababababab"),
        ({"labels": {"smear": {}}}, "names smear; small has blot, stain"),
    ],
)
def test_a_calibration_of_something_else_is_refused(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidCard, match=sentence):
        calibrate_card(small_card(), read(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"use": "reckless"}, "no operating point reckless; there are careful, high sensitivity"),
        ({"labels": {}}, "labels: "),
        ({"labels": {"blot": {"calibration": {"slope": -1}}}}, "labels.blot.calibration.slope: "),
        ({"labels": {"blot": {"calibration": {"slope": float("inf")}}}}, "labels.blot.calibration.slope: "),
        ({"labels": {"blot": {"threshold": 1}}}, "labels.blot.threshold: Extra inputs"),
        ({"weights_sha256": "short"}, "weights_sha256: "),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, changes: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidCard) as error:
        read(tmp_path, **changes)
    assert "site.yaml" in str(error.value)
    assert place in str(error.value)


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b"", b"- 1"])
def test_what_is_no_calibration_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "site.yaml").write_bytes(raw)
    with pytest.raises(InvalidCard, match=r"site\.yaml"):
        read_calibration(tmp_path / "site.yaml")
    with pytest.raises(InvalidCard, match="No such file"):
        read_calibration(tmp_path / "absent.yaml")
