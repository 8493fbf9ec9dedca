"""The rule on heads whose truth is known by formula: units, grids, sides, what is no infarct, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.diffusion_head import Head, Sphere, head, volume

from models.ais.brain import find_midplane
from models.ais.preprocess import prepare
from models.errors import InvalidVolume, MissingInput
from models.prediction import Prediction, Urgency
from models.registry import load_model
from models.volume import Volume

MODEL = load_model("ais", method="adc620")
LEFT = Sphere((35.0, 10.0, 12.0), 13.0)
RIGHT = Sphere((-35.0, -20.0, 18.0), 9.0)


def _predict(made: Head, **roles: Volume) -> Prediction:
    return MODEL.predict({"DWI": made.dwi, "ADC": made.adc} | roles)


def _dice(prediction: Prediction, truth: np.ndarray) -> float:
    mask = prediction.segmentation > 0
    return float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))


def test_a_core_is_found_with_volume_side_and_adc() -> None:
    made = head(LEFT)
    prediction = _predict(made)
    [finding] = prediction.findings
    assert _dice(prediction, made.truth) > 0.9
    assert finding.volume_ml == pytest.approx(made.dwi.measure_ml(prediction.segmentation > 0))
    assert finding.urgency is Urgency.IMMEDIATE
    assert made.truth[finding.key_slice].any()
    assert prediction.measurements["core, left"] == pytest.approx(finding.volume_ml)
    assert prediction.measurements["core, right"] == 0
    assert prediction.measurements["lesions"] == 1
    assert prediction.measurements["mean ADC of the core"] == pytest.approx(450, rel=0.1)
    assert "FLAIR ratio" not in prediction.measurements


def test_lesions_are_counted_and_each_has_its_side() -> None:
    made = head(LEFT, RIGHT, yaw_deg=12)
    prediction = _predict(made)
    measured = prediction.measurements
    assert measured["lesions"] == 2
    assert measured["largest lesion"] == pytest.approx(measured["core, left"], rel=0.05)
    assert measured["core, right"] == pytest.approx(made.dwi.measure_ml(made.truth) - measured["core, left"], rel=0.2)


@pytest.mark.parametrize("seed", range(3))
def test_a_brain_without_an_infarct_raises_nothing(seed: int) -> None:
    prediction = _predict(head(seed=seed, noise=0.09, coil=0.25))
    assert prediction.findings == ()
    assert not prediction.segmentation.any()
    assert prediction.measurements == {}


@pytest.mark.parametrize(
    "mimic",
    [
        pytest.param(Sphere((35.0, 10.0, 12.0), 13.0, signal=1.8, adc=1100), id="T2 shine-through"),
        pytest.param(Sphere((35.0, 10.0, 12.0), 13.0, signal=0.5, adc=2200), id="old infarct"),
        pytest.param(Sphere((35.0, 10.0, 12.0), 13.0, signal=1.0, adc=580), id="low ADC, not bright"),
        pytest.param(Sphere((35.0, 10.0, 12.0), 13.0, signal=1.8, adc=760), id="bright, ADC not low enough"),
        pytest.param(Sphere((0.0, -66.0, -45.0), 4.0, signal=3.0, adc=450), id="bright spot at the skull base"),
    ],
)
def test_what_is_no_infarct_is_left_out(mimic: Sphere) -> None:
    assert _predict(head(mimic)).findings == ()
    beside = head(RIGHT, mimic)
    assert _dice(_predict(beside), head(RIGHT).truth) > 0.8


@settings(max_examples=6, deadline=None)
@given(power=st.sampled_from([0, -3, -6]), gain=st.floats(0.05, 40))
def test_the_unit_of_the_map_and_the_gain_of_the_scanner_do_not_matter(power: int, gain: float) -> None:
    made = head(LEFT)
    scaled = _predict(
        replace(
            made,
            adc=replace(made.adc, voxels=(made.adc.voxels * 10.0**power).astype(np.float32)),
            dwi=replace(made.dwi, voxels=made.dwi.voxels * np.float32(gain)),
        )
    )
    assert np.array_equal(scaled.segmentation, _predict(made).segmentation)


def test_a_map_on_another_grid_is_brought_onto_the_dwi() -> None:
    made = head(LEFT)
    finer = volume(np.repeat(np.repeat(made.adc.voxels, 2, axis=1), 2, axis=2).astype(float), spacing_mm=1.5)
    # Rows that run the other way turn the normal round, and so the order of the slices.
    turned = replace(
        finer,
        voxels=finer.voxels[::-1, ::-1],
        column_direction=(0.0, -1.0, 0.0),
        positions_mm=(finer.positions_mm + np.array([0, (finer.voxels.shape[1] - 1) * 1.5, 0]))[::-1],
    )
    assert _dice(_predict(replace(made, adc=turned)), made.truth) > 0.9


def test_flair_says_whether_the_core_can_be_seen_on_it_yet() -> None:
    early, late = head(LEFT), head(replace(LEFT, flair=1.6))
    seen = [_predict(made, FLAIR=made.flair).measurements for made in (early, late)]
    assert seen[0]["FLAIR ratio"] == pytest.approx(1.0, abs=0.1)
    assert seen[1]["FLAIR ratio"] == pytest.approx(1.6, abs=0.15)
    assert [values["DWI-FLAIR mismatch"] for values in seen] == [1, 0]


@settings(max_examples=8, deadline=None)
@given(yaw=st.floats(-15, 15))
def test_the_midplane_follows_the_head(yaw: float) -> None:
    made = head(LEFT, yaw_deg=yaw)
    normal, offset = find_midplane(made.dwi, prepare(made.dwi, made.adc).brain)
    assert abs(np.rad2deg(np.arctan2(normal[1], normal[0])) - yaw) < 3
    assert abs(offset) < 3


def test_what_cannot_be_analysed_says_why() -> None:
    made = head(LEFT)
    with pytest.raises(MissingInput, match="role ADC"):
        MODEL.predict({"DWI": made.dwi})
    with pytest.raises(InvalidVolume, match="Give each role its own series"):
        _predict(replace(made, adc=made.dwi))
    with pytest.raises(InvalidVolume, match="fits no unit"):
        _predict(replace(made, adc=replace(made.adc, voxels=made.adc.voxels * np.float32(50))))
    away = replace(made.adc, positions_mm=made.adc.positions_mm + 500)
    with pytest.raises(InvalidVolume, match="does not lie where the DWI lies"):
        _predict(replace(made, adc=away))
    empty = replace(made.dwi, voxels=np.zeros_like(made.dwi.voxels))
    with pytest.raises(InvalidVolume, match="no brain"):
        _predict(replace(made, dwi=empty))
