"""The model by its network: what goes in, what comes back where, and what is left out whatever the network says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.diffusion_head import Head, Sphere, head
from support.tiny_network import write_broken_network, write_core_network

from models.ais.mark import mark
from models.ais.model import AISModel, create
from models.ais.network import slices_apart, stack
from models.card import Card
from models.engines import open_engine
from models.errors import EngineFailure, InvalidCard
from models.prediction import Prediction
from models.registry import FOLDER, load_card, load_model
from models.volume import Volume

LEFT = Sphere((35.0, 10.0, 12.0), 13.0)


def _card() -> Card:
    """The card with nothing weighed: the suspicion itself is the probability."""
    card = load_card("ais")
    label = card.labels[0]
    point = label.operating_point.model_copy(update={"probability": 0.5})
    return card.model_copy(
        update={"labels": (label.model_copy(update={"evidence": None, "threshold": 0.5, "operating_point": point}),)}
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AISModel:
    card = _card()
    weights = write_core_network(tmp_path_factory.mktemp("network") / "tiny.onnx", size=card.preprocess.size)
    return create(card, open_engine(weights, threads=1))


def _predict(model: AISModel, made: Head, **roles: Volume) -> Prediction:
    return model.predict({"DWI": made.dwi, "ADC": made.adc} | roles)


def _dice(prediction: Prediction, truth: np.ndarray) -> float:
    mask = prediction.segmentation > 0
    return float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))


def test_what_the_network_marks_is_the_core_with_its_evidence(model: AISModel) -> None:
    made = head(LEFT)
    prediction = _predict(model, made, FLAIR=made.flair)
    [finding] = prediction.findings
    assert _dice(prediction, made.truth) > 0.9
    assert finding.probability > 0.9
    assert prediction.parameters["method"] == "network"
    assert str(prediction.parameters["engine"]).startswith(("openvino", "onnxruntime"))
    assert prediction.measurements["core, left"] == pytest.approx(finding.volume_ml)
    assert prediction.measurements["mean ADC of the core"] == pytest.approx(450, rel=0.1)
    assert prediction.measurements["core, ADC up to 620"] == pytest.approx(finding.volume_ml, rel=0.1)
    assert prediction.measurements["DWI-FLAIR mismatch"] == 1
    shown = prediction.slice_probabilities["ischaemic core"]
    assert shown[finding.key_slice] > 0.9
    assert shown[0] < 0.1


def test_a_card_of_an_earlier_version_gets_the_measures_it_describes(model: AISModel) -> None:
    earlier = replace(model, card=model.card.model_copy(update={"measures": model.card.measures[:4]}))
    said = _predict(earlier, head(LEFT)).measurements
    assert list(said) == ["lesions", "largest lesion", "core, left", "core, right"]


def test_rows_that_run_the_other_way_and_another_gain_change_nothing(model: AISModel) -> None:
    made = head(LEFT)
    expected = _predict(model, made).segmentation
    turned = replace(
        made,
        dwi=_turned(replace(made.dwi, voxels=made.dwi.voxels * np.float32(7))),
        adc=_turned(replace(made.adc, voxels=made.adc.voxels * np.float32(1e-3))),
    )
    found = _predict(model, turned).segmentation[::-1, ::-1]
    assert 2 * (found & expected).sum() > 0.98 * (found.sum() + expected.sum())


def _turned(volume: Volume) -> Volume:
    rows = volume.voxels.shape[1]
    return replace(
        volume,
        voxels=volume.voxels[::-1, ::-1],
        column_direction=(0.0, -1.0, 0.0),
        positions_mm=(volume.positions_mm + np.array([0, (rows - 1) * volume.spacing_mm[0], 0]))[::-1],
    )


def test_bright_tissue_whose_adc_is_high_is_left_out_whatever_the_network_says(model: AISModel) -> None:
    shine = Sphere((-35.0, -20.0, 18.0), 9.0, signal=1.8, adc=1300)
    assert _predict(model, head(shine)).findings == ()
    both = head(LEFT, shine)
    assert _dice(_predict(model, both), head(LEFT).truth) > 0.9
    assert _predict(model, head()).measurements == {}


def test_faint_parts_and_single_voxels_are_no_lesions() -> None:
    made = head()
    brain = made.adc.voxels > 0
    p = np.zeros(brain.shape, np.float32)
    p[10, 20:24, 30:34] = 0.9  # above the threshold, nowhere sure
    p[12, 40:44, 30:34] = 0.8
    p[12, 41, 31] = 0.99
    p[14, 30, 40] = 0.99
    p[12, 1:3, 1:3] = 0.99  # far outside the brain
    adc = np.where(p > 0, 500, made.adc.voxels).astype(np.float32)
    core = mark(p, adc, brain, made.dwi, 0.5)
    assert len(core.lesions_ml) == 1
    assert core.mask.sum() == 16
    assert core.lesions_ml[0] == pytest.approx(16 * made.dwi.voxel_ml[0])


def test_slices_are_seen_with_their_neighbours_and_edges_repeat() -> None:
    settings = load_card("ais").preprocess
    bright = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((5, 4, 4), np.float32)
    stacks = stack(bright, bright * 100, 1, settings)
    assert stacks.shape == (5, 6, 4, 4)
    assert ((stacks[0, :3, 0, 0] * settings.scale) + settings.centre).tolist() == [0, 0, 1]
    assert (stacks[4, 3:, 0, 0] * 800 + 800).tolist() == pytest.approx([300, 400, 400])
    thick = head().dwi
    assert slices_apart(thick, settings) == 1
    thin = replace(thick, positions_mm=thick.positions_mm / 6)
    assert slices_apart(thin, settings) == 2


def test_a_network_that_answers_nonsense_is_a_failure(tmp_path: Path) -> None:
    card = _card()
    weights = write_broken_network(tmp_path / "broken.onnx", size=card.preprocess.size, slabs=6)
    broken = create(card, open_engine(weights, threads=1))
    with pytest.raises(EngineFailure, match="network of ais answered"):
        _predict(broken, head(LEFT))


def test_the_rule_stays_and_says_that_it_answered() -> None:
    made = head(LEFT)
    by_rule = load_model("ais", method="adc620").predict({"DWI": made.dwi, "ADC": made.adc})
    card = load_card("ais")
    assert by_rule.parameters["method"] == "adc620"
    assert by_rule.model.version == f"{card.version}+adc620"
    assert by_rule.model.weights_digest == card.baselines["adc620"].sha256
    assert (FOLDER / "ais" / card.baselines["adc620"].file).exists()
    assert load_card("ais").using("network") is card
    with pytest.raises(InvalidCard, match="ais knows no method other; it has network and adc620"):
        load_model("ais", method="other")


def test_a_network_without_a_threshold_is_refused() -> None:
    card = load_card("ais")
    bare = card.model_copy(update={"labels": (card.labels[0].model_copy(update={"threshold": None}),)})

    class Engine:
        name = "none"

        def run(self, inputs: object) -> dict[str, np.ndarray]:
            raise AssertionError

    with pytest.raises(InvalidCard, match="lacks preprocess or threshold"):
        create(bare, Engine())
