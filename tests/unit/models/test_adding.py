"""What a site brings is held against its card, kept by version, and never takes the place of what serves by itself."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.tiny_network import write_threshold_network
from support.window_network import write_model

from models.adding import add_model
from models.errors import InvalidCard, UnwritableOutput
from models.registry import FOLDER, list_models, load_card, load_model, use_shelf, weights_of
from models.shelf import Shelf, Standing
from models.volume import Volume


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    use_shelf(tmp_path / "shelf")
    yield Shelf(tmp_path / "shelf")
    use_shelf(None)


def change(folder: Path, **changes: object) -> Path:
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    return folder


def bright_cube() -> Volume:
    voxels = np.zeros((12, 40, 40), np.float32)
    voxels[4:8, 10:20, 10:20] = 90
    positions = np.arange(12)[:, None] * np.array([0.0, 0.0, 2.0])
    return Volume(voxels, positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0))


def test_a_model_of_ones_own_is_listed_opened_and_answers(shelf: Shelf, tmp_path: Path) -> None:
    shipped = [card.name for card in list_models()]
    add_model(write_model(tmp_path / "m"), shelf)
    use_shelf(shelf.folder)
    assert [card.name for card in list_models()] == sorted([*shipped, "brought"])
    model = load_model("brought", threads=1)
    [finding] = model.predict({"NCCT": bright_cube()}).findings
    assert finding.volume_ml == pytest.approx(0.8)
    assert weights_of(model.card).is_relative_to(shelf.folder / "brought" / "1.0.0")


def test_a_second_version_waits_until_it_is_told_to_serve(shelf: Shelf, tmp_path: Path) -> None:
    add_model(write_model(tmp_path / "one"), shelf)
    add_model(write_model(tmp_path / "two", version="2.0.0", network={"above": 0.6}), shelf)
    use_shelf(shelf.folder)
    assert load_card("brought").version == "1.0.0"
    assert load_card("brought", "2.0.0").version == "2.0.0"
    shelf.stand("brought", Standing(live="2.0.0", earlier=("1.0.0",)))
    assert load_card("brought").version == "1.0.0"  # what runs, runs on
    use_shelf(shelf.folder)
    assert load_card("brought").version == "2.0.0"
    assert load_model("brought", version="1.0.0", threads=1).card.version == "1.0.0"
    with pytest.raises(InvalidCard, match=r"no brought 3\.0\.0|no model brought"):
        load_card("brought", "3.0.0")
    shutil.rmtree(shelf.place("brought", "2.0.0"))
    use_shelf(shelf.folder)
    with pytest.raises(InvalidCard, match=r"brought 2\.0\.0 is to serve, and is not in"):
        load_card("brought")


def test_the_same_again_is_no_mistake_and_another_under_its_version_is(shelf: Shelf, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    assert add_model(folder, shelf) == add_model(folder, shelf)
    with pytest.raises(InvalidCard, match="is there already and differs"):
        add_model(change(folder, task="Something else"), shelf)


def test_a_new_version_of_a_shipped_model_keeps_its_code_inputs_and_labels(shelf: Shelf, tmp_path: Path) -> None:
    shipped = load_card("ich")
    folder = tmp_path / "ich"
    shutil.copytree(FOLDER / "ich" / "weights", folder / "weights")
    shutil.copy(FOLDER / "ich" / "model.yaml", folder)
    with pytest.raises(InvalidCard, match="ships with Nightjar"):
        add_model(folder, shelf)
    add_model(change(folder, version="9.0.0"), shelf)
    use_shelf(shelf.folder)
    assert load_card("ich").version == shipped.version
    model = load_model("ich", version="9.0.0", threads=1)
    assert type(model).__module__ == "models.ich.model"
    with pytest.raises(InvalidCard, match=r"labels of this card are not those of ich"):
        add_model(change(folder, version="9.1.0", labels=[shipped.labels[0].model_dump(mode="json")]), shelf)
    with pytest.raises(InvalidCard, match=r"ich reads NCCT; this card reads CTA"):
        add_model(change(folder, version="9.1.0", inputs=[{"role": "CTA", "modality": "CT"}]), shelf)


@pytest.mark.parametrize(
    ("changes", "network", "says"),
    [
        ({"name": "../up"}, {}, "a name is small letters"),
        ({"version": "a/b"}, {}, "a version letters"),
        ({"weights": {"file": "../other.onnx", "sha256": "0" * 64}}, {}, r"\.\./other\.onnx is no file in"),
        ({"weights": {"file": "network.onnx", "sha256": "0" * 64}}, {}, "has the SHA-256"),
        ({"sliding": None}, {}, "lacks sliding"),
        ({}, {"channels": 2}, r"does not take image 1 x 1 x 8 x 32 x 32; it takes image any x 2"),
        ({}, {"answers": 3}, r"answers a window .* with \(1, 3, 8, 32, 32\)"),
    ],
)
def test_card_and_network_that_do_not_go_together_are_refused(
    shelf: Shelf, tmp_path: Path, changes: dict[str, object], network: dict[str, int], says: str
) -> None:
    (tmp_path / "other.onnx").write_bytes(b"x")
    folder = change(write_model(tmp_path / "m", network=network), **changes)
    with pytest.raises(InvalidCard, match=says):
        add_model(folder, shelf)
    assert not shelf.folder.exists() or not list(shelf.folder.rglob("*.onnx"))


def test_a_network_with_other_tensors_is_named(shelf: Shelf, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    write_threshold_network(folder / "network.onnx", size=32)
    card = yaml.safe_load((folder / "model.yaml").read_text())
    digest = hashlib.sha256((folder / "network.onnx").read_bytes()).hexdigest()
    with pytest.raises(InvalidCard, match="reads slices and writes logits; it must read image"):
        add_model(change(folder, weights=card["weights"] | {"sha256": digest}), shelf)


def test_a_shelf_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "shelf").write_text("a file")
    with pytest.raises(UnwritableOutput, match=r"inference\.models_dir"):
        add_model(write_model(tmp_path / "m"), Shelf(tmp_path / "shelf"))
