"""PSNR and SSIM against scikit-image, edges and lesions against images whose answer is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from models.card import Card
from models.enhance.kspace import Band, unmeasured
from models.prediction import ModelIdentity, Prediction
from models.registry import load_card
from models.volume import Volume
from services.datasets.evaluation.enhancement import evaluate_enhancement, write_enhancement
from services.datasets.evaluation.image_quality import (
    Spot,
    contrast,
    draw_spots,
    edge_sharpness,
    flat_error,
    head_of,
    psnr_db,
    put_in,
    ssim,
    worst_invention,
)
from services.errors import SettingsError

Image = NDArray[np.float32]


def _disc(rows: int = 48, columns: int = 40, radius: float = 14) -> Image:
    y, x = np.mgrid[:rows, :columns]
    inside = np.hypot(y - rows / 2, x - columns / 2) < radius
    return (inside * 700.0 + 100 * np.sin(x / 3) + 200).astype(np.float32)


def test_psnr_and_ssim_are_those_of_scikit_image() -> None:
    truth = _disc()
    y, x = np.mgrid[:48, :40]
    image = (truth + 40 * np.sin(y * 1.7) * np.cos(x * 2.1)).astype(np.float32)
    # scikit-image 0.26: structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False).
    assert ssim(image, truth, 900.0) == pytest.approx(0.9324249660, abs=1e-6)
    assert psnr_db(image, truth, 900.0) == pytest.approx(32.9766966305, abs=1e-6)
    assert psnr_db(truth, truth, 900.0) == np.inf


def test_blur_costs_edges_along_its_axis_alone_and_noise_shows_in_flat_tissue() -> None:
    truth = _disc(96, 96, 35)
    head = head_of(truth, 900.0)
    blurred = ndimage.gaussian_filter1d(truth, 1.5, axis=1)
    assert edge_sharpness(truth, truth, head, 1) == pytest.approx(1)
    assert edge_sharpness(blurred, truth, head, 1) < 0.8
    assert edge_sharpness(blurred, truth, head, 0) > edge_sharpness(blurred, truth, head, 1) + 0.1
    noisy = truth + np.random.default_rng(0).normal(0, 9, truth.shape).astype(np.float32)
    assert flat_error(noisy, truth, head, 1, 900.0) == pytest.approx(1.0, rel=0.1)
    invented = truth.copy()
    invented[48:51, 48:51] += 90
    assert worst_invention(invented, truth, head, 900.0) > 3 > worst_invention(noisy, truth, head, 900.0)


def test_inserted_lesions_lie_apart_inside_the_head_and_keep_their_contrast() -> None:
    truth = np.full((160, 160), 500, np.float32) * (_disc(160, 160, 70) > 600)
    spots = draw_spots(truth, truth > 0, 4, 900.0, np.random.default_rng(1))
    assert len(spots) == 4
    image = put_in(truth, spots)
    for spot in spots:
        assert np.sign(contrast(image, spot)) == np.sign(spot.height)
        assert 0.5 < contrast(image, spot) / spot.height < 1.05
        assert contrast(truth, spot) == pytest.approx(0, abs=1e-3)
    assert not any(np.hypot(a.row - b.row, a.column - b.column) < 15 for a in spots for b in spots if a is not b)
    assert draw_spots(np.zeros((40, 40), np.float32), np.zeros((40, 40), bool), 2, 1.0, np.random.default_rng(0)) == []
    assert contrast(put_in(truth, [Spot(80, 80, 3.0, 0.0)]), Spot(80, 80, 3.0, 0.0)) == pytest.approx(0, abs=1e-3)


@dataclass(frozen=True)
class Oracle:
    """Knows the whole image and adds what is missing of it: what evaluation must find to be right."""

    truth: Volume
    card: Card

    def predict(self, inputs: Mapping[str, Volume]) -> Prediction:
        volume = inputs["REDUCED"]
        assert volume.encoding is not None
        axis = volume.encoding.axis
        missing = np.moveaxis(self.truth.voxels - volume.voxels, axis, -1)
        added = np.moveaxis(unmeasured(missing, Band(volume.encoding.measured)), -1, axis)
        return Prediction(
            ModelIdentity("enhance", "0", "w"),
            np.zeros(volume.voxels.shape, np.uint8),
            (),
            {},
            {},
            image=(volume.voxels + added).astype(np.float32),
        )


def test_a_model_that_knows_the_truth_is_found_to_gain(tmp_path: Path) -> None:
    voxels = np.stack([_disc(96, 80, 30 - k) for k in range(3)])
    nib.save(nib.Nifti1Image(voxels.transpose(2, 1, 0)[::-1, ::-1], np.diag([1, 1, 5, 1])), tmp_path / "a.nii.gz")
    truth = Volume(voxels, np.zeros((3, 3)) + np.arange(3)[:, None], (1, 0, 0), (0, 1, 0), (1, 1))
    evaluation = evaluate_enhancement(
        Oracle(truth, load_card("enhance")), tmp_path, dataset="discs", synthetic=True, on=date(2026, 1, 1)
    )
    content = write_enhancement(evaluation, tmp_path)
    found = content["studies"]["a"]["67%"]
    assert found["psnr_gain_db"]["value"] > 3
    along = found["psnr_gain_db_along"]
    assert list(along) == ["rows", "columns"]
    assert sum(one["of"] for one in along.values()) == found["slices"]
    one, other = (axis["value"] for axis in along.values())
    assert min(one, other) <= found["psnr_gain_db"]["value"] <= max(one, other)
    assert found["ssim"] > found["ssim_sinc"]
    assert abs(found["edges"] - 1) < abs(found["edges_sinc"] - 1)
    assert found["appeared"] == 0
    assert {path.name for path in tmp_path.glob("*.csv")} == {"slices.csv", "lesions.csv"}
    with pytest.raises(SettingsError, match="no NIfTI"):
        evaluate_enhancement(
            Oracle(truth, load_card("enhance")), tmp_path / "none", dataset="", synthetic=True, on=date(2026, 1, 1)
        )
