"""A model of nothing but a card and a network finds what is there, on whatever grid it was acquired."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.window_network import LABEL, write_model

from models.card import Card, read_card
from models.engines import open_engine
from models.errors import EngineFailure, InvalidCard, MissingInput
from models.sliding.model import SlidingModel, create, normalise
from models.sliding.settings import Intensity
from models.volume import Vector, Volume

RADIUS_MM = 12.0
BALL_ML = 4 / 3 * np.pi * (RADIUS_MM / 10) ** 3


def ball(row: Vector = (1.0, 0.0, 0.0), column: Vector = (0.0, 1.0, 0.0), offsets: np.ndarray | None = None) -> Volume:
    """A ball of 80 in 20, around it nothing (-1000), with a second one of a few voxels."""
    offsets = np.arange(20) * 3.0 if offsets is None else offsets
    positions = offsets[:, None] * np.cross(row, column)
    i, j = np.arange(70)[:, None, None], np.arange(60)[None, :, None]
    points = positions[:, None, None] + i * 1.0 * np.array(column) + j * 1.2 * np.array(row)
    middle = positions[len(positions) // 2] + 30 * np.array(column) + 36 * np.array(row)
    far = np.linalg.norm(points - middle, axis=-1)
    voxels = np.where(far <= RADIUS_MM, 80, np.where(far < 30, 20, -1000)).astype(np.float32)
    voxels[3, 5:7, 5:7] = 80
    return Volume(voxels, positions, row, column, (1.0, 1.2))


def opened(folder: Path) -> SlidingModel:
    card = read_card(folder / "model.yaml")
    return create(card, open_engine(folder / card.weights.file, threads=1))


@pytest.mark.parametrize(
    "directions", [((1.0, 0, 0), (0, 1.0, 0)), ((0, -1.0, 0), (0, 0, -1.0))], ids=["axial", "sagittal"]
)
@pytest.mark.parametrize("spacing_mm", [(None, None, None), (2.0, 1.5, None)], ids=["as acquired", "resampled"])
def test_a_ball_is_found_where_it_is_with_its_volume(
    tmp_path: Path, directions: tuple[Vector, Vector], spacing_mm: tuple[float | None, ...]
) -> None:
    image = ball(*directions)
    model = opened(write_model(tmp_path / "m", spacing_mm=spacing_mm, smallest_ml=0.1, background=-500.0))
    answer = model.predict({"NCCT": image})
    [finding] = answer.findings
    assert finding.label == "lesion"
    assert finding.volume_ml == pytest.approx(BALL_ML, rel=0.08)
    assert finding.key_slice == pytest.approx(10, abs=1)
    assert finding.probability > 0.9
    truth = (image.voxels == 80) & (np.arange(20) != 3)[:, None, None]
    overlap = 2 * (truth & (answer.segmentation == 1)).sum() / (truth.sum() + (answer.segmentation == 1).sum())
    assert overlap > 0.9
    assert not answer.segmentation[3].any()
    assert answer.slice_probabilities["lesion"].shape == (20,)


def test_windows_without_tissue_change_nothing(tmp_path: Path) -> None:
    image = ball()
    skipping = opened(write_model(tmp_path / "a", background=-500.0)).predict({"NCCT": image})
    looking = opened(write_model(tmp_path / "b")).predict({"NCCT": image})
    np.testing.assert_array_equal(skipping.segmentation, looking.segmentation)
    empty = replace(image, voxels=np.full_like(image.voxels, -1000))
    nothing = opened(tmp_path / "a").predict({"NCCT": empty})
    assert nothing.findings == ()
    assert nothing.probabilities == {"lesion": 0}


def test_a_network_of_slices_and_one_of_volumes_say_the_same(tmp_path: Path) -> None:
    image = ball()
    flat = opened(write_model(tmp_path / "2d", patch=[32, 32], network={"axes": 2})).predict({"NCCT": image})
    deep = opened(write_model(tmp_path / "3d")).predict({"NCCT": image})
    np.testing.assert_array_equal(flat.segmentation, deep.segmentation)


def test_labels_that_are_answered_one_by_one(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", output="sigmoid", network={"answers": 1})
    [finding] = opened(folder).predict({"NCCT": ball()}).findings
    assert finding.volume_ml == pytest.approx(BALL_ML, rel=0.08)


def test_below_the_operating_point_nothing_is_found_or_marked(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    card = read_card(folder / "model.yaml")
    label = card.labels[0].model_copy(
        update={"operating_point": card.labels[0].operating_point.model_copy(update={"volume_ml": 99})}
    )
    strict = card.model_copy(update={"labels": (label,)})
    answer = create(strict, open_engine(folder / "network.onnx", threads=1)).predict({"NCCT": ball()})
    assert answer.findings == ()
    assert not answer.segmentation.any()
    assert 0 < answer.probabilities["lesion"] < 0.5


def test_what_is_missing_and_what_does_not_fit_is_said(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", roles=("T1", "FLAIR"))
    with pytest.raises(MissingInput, match="needs an input of role FLAIR"):
        opened(folder).predict({"T1": ball()})
    opened(folder).predict({"T1": ball(), "FLAIR": ball(offsets=np.arange(10) * 6.0)})
    wrong = write_model(tmp_path / "wrong", network={"answers": 3})
    with pytest.raises(EngineFailure, match="3 channels, not its labels"):
        opened(wrong).predict({"NCCT": ball()})
    with pytest.raises(InvalidCard, match="lacks a network"):
        create(read_card(folder / "model.yaml"), folder / "network.onnx")


def test_intensity_rules() -> None:
    image = np.array([0, 0, 10, 20, 30], np.float32)
    window = Intensity(rule="window", low=5, high=25, centre=15, scale=10)
    np.testing.assert_allclose(normalise(image, window), [-1, -1, -0.5, 0.5, 1])
    np.testing.assert_array_equal(normalise(image, Intensity(rule="none")), image)
    whole = normalise(image, Intensity(rule="zscore"))
    assert (abs(float(whole.mean())) < 1e-6, float(whole.std())) == (True, pytest.approx(1))
    inside = normalise(image, Intensity(rule="zscore", nonzero=True))
    np.testing.assert_allclose(inside, [0, 0, -1.2247449, 0, 1.2247449], rtol=1e-5)
    assert not normalise(np.zeros(3, np.float32), Intensity(rule="zscore", nonzero=True)).any()


@pytest.mark.parametrize(
    ("sliding", "says"),
    [
        ({"axes": "SSL"}, "each direction once"),
        ({"intensity": []}, "at least 1 item"),
        ({"intensity": [{"rule": "none"}] * 2}, "one intensity for each input"),
        ({"patch": [32, 32], "mirror": [0]}, "cannot be asked along the first axis"),
    ],
)
def test_a_card_that_does_not_fit_itself_is_refused(tmp_path: Path, sliding: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidCard, match=says):
        read_card(write_model(tmp_path / "m", **sliding) / "model.yaml")


def test_the_support_card_is_one_a_site_could_write(tmp_path: Path) -> None:
    card: Card = read_card(write_model(tmp_path / "m") / "model.yaml")
    assert card.labels[0].name == LABEL["name"]
