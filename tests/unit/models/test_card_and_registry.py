"""Cards say everything that is wrong at once; a model opens only with the weights its card describes."""

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml
from support.tiny_network import write_threshold_network

from models import registry
from models.card import read_card
from models.engines import open_engine
from models.errors import InvalidCard

SHIPPED = Path(registry.__file__).parent


def _copy(tmp_path: Path, **changes: object) -> Path:
    content = yaml.safe_load((SHIPPED / "ich/model.yaml").read_text())
    path = tmp_path / "model.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}))
    return path


def test_every_shipped_model_opens_with_the_weights_of_its_card() -> None:
    cards = registry.list_models()
    assert [card.name for card in cards] == sorted(path.parent.name for path in SHIPPED.glob("*/model.yaml"))
    for card in cards:
        assert registry.load_model(card.name, threads=1).card == card
        assert card.limits


def test_all_that_is_wrong_with_a_card_is_said_at_once(tmp_path: Path) -> None:
    path = _copy(tmp_path, priority="soon", batch=0, colour="red", weights={"file": "w.onnx", "sha256": "short"})
    with pytest.raises(InvalidCard) as error:
        read_card(path)
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    for key in ("priority", "batch", "colour", "weights.sha256"):
        assert any(f": {key}: " in line for line in lines)


def test_labels_may_not_share_a_value(tmp_path: Path) -> None:
    label = yaml.safe_load((SHIPPED / "ich/model.yaml").read_text())["labels"][0]
    with pytest.raises(InvalidCard, match="two label values are the same"):
        read_card(_copy(tmp_path, labels=[label, {**label, "name": "other"}]))


def test_regions_are_of_the_cards_own_labels(tmp_path: Path) -> None:
    with pytest.raises(InvalidCard, match="regions: bleeding is of values that no label has"):
        read_card(_copy(tmp_path, regions={"bleeding": [1, 99]}))


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"", b"- 1"])
def test_what_is_no_card_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidCard, match=r"model\.yaml"):
        read_card(path)
    with pytest.raises(InvalidCard, match="No such file"):
        read_card(tmp_path / "absent.yaml")


def test_other_weights_than_the_cards_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ich").mkdir()
    shutil.copy(SHIPPED / "ich/model.yaml", tmp_path / "ich")
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    registry.load_card.cache_clear()
    card = registry.load_card("ich")
    with pytest.raises(InvalidCard, match="weights of ich are missing"):
        registry.load_model("ich")
    weights = tmp_path / "ich" / card.weights.file
    weights.parent.mkdir(exist_ok=True)
    write_threshold_network(weights, size=32)
    with pytest.raises(InvalidCard, match="SHA-256 differs"):
        registry.load_model("ich")

    changed = yaml.safe_load((tmp_path / "ich/model.yaml").read_text())
    changed["weights"]["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (tmp_path / "ich/model.yaml").write_text(yaml.safe_dump(changed))
    registry.load_card.cache_clear()
    assert registry.load_model("ich").card.weights.sha256 == changed["weights"]["sha256"]
    registry.load_card.cache_clear()


def test_an_unknown_model_is_named_with_those_there_are() -> None:
    with pytest.raises(InvalidCard, match=r"no model nothing; there are .*ich"):
        registry.load_model("nothing")


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"no network")
    with pytest.raises(InvalidCard, match=r"w\.onnx is not a network"):
        open_engine(tmp_path / "w.onnx", threads=1)


def test_every_label_of_every_model_has_a_code_of_its_own() -> None:
    codes = [(label.code.scheme, label.code.value) for card in registry.list_models() for label in card.labels]
    assert len(set(codes)) == len(codes)


def test_an_unknown_key_deep_in_a_card_is_named_with_its_place(tmp_path: Path) -> None:
    label = yaml.safe_load((SHIPPED / "ich/model.yaml").read_text())["labels"][0]
    point = {**label["operating_point"], "sensitivity": 0.9}
    with pytest.raises(InvalidCard, match=r"labels\.0\.operating_point\.sensitivity: Extra inputs"):
        read_card(_copy(tmp_path, labels=[{**label, "operating_point": point}]))
