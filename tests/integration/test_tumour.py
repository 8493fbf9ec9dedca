"""The tumour model: what goes in from which grids, what comes back where, what is said when a sequence is missing."""

from pathlib import Path

import numpy as np
import pytest
from support.tiny_network import write_broken_network, write_region_network
from support.tumour_head import BODY_MM, ENHANCING_MM, WHOLE_MM, Place, axial, sagittal, scan, truth

from models.card import Card
from models.engines import open_engine
from models.errors import EngineFailure, InvalidCard, InvalidVolume, MissingInput
from models.prediction import Prediction
from models.registry import load_card
from models.tumour.model import TumourModel, create
from models.tumour.network import ROLES
from models.tumour.preprocess import prepare
from models.volume import Volume


def _card() -> Card:
    """The card with nothing weighed: the suspicion itself is the probability."""
    card = load_card("tumour")
    labels = []
    for label in card.labels:
        point = label.operating_point.model_copy(update={"probability": 0.5})
        threshold = None if label.threshold is None else 0.5
        labels.append(label.model_copy(update={"evidence": None, "threshold": threshold, "operating_point": point}))
    return card.model_copy(update={"labels": tuple(labels)})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TumourModel:
    card = _card()
    weights = write_region_network(tmp_path_factory.mktemp("network") / "tiny.onnx", size=card.preprocess.size)
    return create(card, open_engine(weights, threads=1))


def _study(grid: Volume, *, tumour: bool = True) -> dict[str, Volume]:
    return {role: scan(role, grid, tumour=tumour, seed=number) for number, role in enumerate(ROLES)}


def _dice(prediction: Prediction, grid: Volume, *values: int) -> float:
    found, there = np.isin(prediction.segmentation, values), np.isin(truth(grid), values)
    return float(2 * (found & there).sum() / (found.sum() + there.sum()))


def _ball_ml(radius_mm: float) -> float:
    return 4 / 3 * np.pi * radius_mm**3 / 1000


def test_regions_are_where_they_are_with_volumes_and_diameters(model: TumourModel) -> None:
    grid = axial()
    prediction = model.predict(_study(grid))
    assert {finding.label for finding in prediction.findings} == {"non-enhancing tumour", "oedema", "enhancing tumour"}
    assert _dice(prediction, grid, 1, 2, 3) > 0.93
    assert _dice(prediction, grid, 1, 3) > 0.9
    assert _dice(prediction, grid, 3) > 0.85
    found = prediction.measurements
    assert found["whole tumour"] == pytest.approx(_ball_ml(WHOLE_MM), rel=0.1)
    assert found["tumour body"] == pytest.approx(_ball_ml(BODY_MM), rel=0.12)
    assert found["lesions"] == 1
    assert found["longest diameter"] == pytest.approx(2 * ENHANCING_MM, abs=2.5)
    assert found["bidimensional product"] == pytest.approx(
        found["longest diameter"] * found["perpendicular diameter"] / 100
    )
    assert prediction.parameters["missing"] == "none"
    shown = prediction.slice_probabilities["enhancing tumour"]
    assert shown[prediction.findings[0].key_slice] > 0.9
    assert shown[0] < 0.1
    healthy = model.predict(_study(grid, tumour=False))
    assert (healthy.findings, healthy.measurements) == ((), {})
    assert not healthy.segmentation.any()


def test_each_sequence_may_have_slices_of_its_own_and_the_patient_may_move(model: TumourModel) -> None:
    grid, thin = axial(), axial(slices=48, step_mm=3.0, rows=110, spacing_mm=2.0)
    moved = {
        "FLAIR": Place((4.0, -3.0, 5.0), (4.0, -3.0, 6.0)),
        "T2": Place((-3.0, 2.0, -4.0), (0.0, 3.0, -4.0)),
        "T1": Place(),
    }
    study = {"T1c": scan("T1c", grid), **{role: scan(role, thin, place) for role, place in moved.items()}}
    prediction = model.predict(study)
    assert _dice(prediction, grid, 1, 2, 3) > 0.85
    assert _dice(prediction, grid, 1, 3) > 0.8
    assert float(prediction.parameters["FLAIR moved mm"]) > 5
    assert float(prediction.parameters["T1 moved mm"]) < 1.5


def test_a_sagittal_reference_is_analysed_in_axial_slices_and_answered_on_its_own_grid(model: TumourModel) -> None:
    side = sagittal()
    study = {**_study(axial()), "T1c": scan("T1c", side)}
    prediction = model.predict(study)
    assert prediction.segmentation.shape == side.voxels.shape
    assert _dice(prediction, side, 1, 2, 3) > 0.85
    assert _dice(prediction, side, 3) > 0.75


def test_without_contrast_the_body_is_not_divided_and_the_answer_lies_on_the_flair(model: TumourModel) -> None:
    grid = axial()
    study = {role: image for role, image in _study(grid).items() if role != "T1c"}
    prediction = model.predict(study)
    assert {finding.label for finding in prediction.findings} == {"oedema", "tumour body, undivided"}
    assert set(prediction.probabilities) == {"oedema", "tumour body, undivided"}
    body = prediction.segmentation == 5
    there = np.isin(truth(grid), (1, 3))
    assert 2 * (body & there).sum() / (body.sum() + there.sum()) > 0.9
    assert prediction.measurements["longest diameter"] == pytest.approx(2 * BODY_MM, abs=3)
    assert (prediction.parameters["missing"], prediction.parameters["grid"]) == ("T1c", "FLAIR")


def test_fewer_than_three_sequences_are_refused_with_what_is_missing(model: TumourModel) -> None:
    study = _study(axial())
    with pytest.raises(MissingInput, match="missing T1c and T1: three of T1c, FLAIR, T2, T1 are needed"):
        model.predict({role: study[role] for role in ("FLAIR", "T2")})
    assert model.card.lacks({"FLAIR", "T2"}) == ["T1c", "T1"]
    assert model.card.lacks({"FLAIR", "T2", "T1"}) == []
    assert model.card.reference_of({"T1", "T2", "FLAIR"}).role == "FLAIR"


def test_images_that_show_no_head_or_lie_elsewhere_are_refused() -> None:
    study = _study(axial())
    away = study["T2"]
    elsewhere = Volume(away.voxels, away.positions_mm + 900, away.row_direction, away.column_direction, away.spacing_mm)
    with pytest.raises(InvalidVolume, match="The T2 does not lie where the T1c lies"):
        prepare({**study, "T2": elsewhere})
    dark = Volume(np.zeros_like(away.voxels), away.positions_mm, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), away.spacing_mm)
    with pytest.raises(InvalidVolume, match="no head to be seen in the T1c"):
        prepare({**study, "T1c": dark})


def test_a_network_that_answers_nonsense_and_a_card_without_threshold_are_refused(tmp_path: Path) -> None:
    card = _card()
    engine = open_engine(write_broken_network(tmp_path / "b.onnx", size=card.preprocess.size, slabs=12), threads=1)
    with pytest.raises(EngineFailure, match="network of tumour answered"):
        create(card, engine).predict(_study(axial()))
    bare = card.model_copy(
        update={"labels": tuple(label.model_copy(update={"threshold": None}) for label in card.labels)}
    )
    with pytest.raises(InvalidCard, match="lacks the threshold"):
        create(bare, engine)
    with pytest.raises(InvalidCard, match="decides by a network"):
        create(card, tmp_path / "rule.yaml")
