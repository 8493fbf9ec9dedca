"""The enhancement network as it ships: both engines say the same; an image without headers is completed on its grid."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from models.engines import open_engine
from models.enhance.acquire import Shortcut, acquire
from models.predict import predict
from models.registry import FOLDER, load_card


def head(slices: int = 3, rows: int = 108, columns: int = 96) -> NDArray[np.float32]:
    """A head of an ellipse with round structures, edges as soft as pixels make them, and a little noise."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:rows, :columns]
    image = 400.0 * (np.hypot((y - rows / 2) / 48, (x - columns / 2) / 40) < 1)
    for _ in range(25):
        row, column = rng.uniform(30, rows - 30), rng.uniform(30, columns - 30)
        image = np.where(np.hypot(y - row, x - column) < rng.uniform(2, 9), rng.uniform(100, 900), image)
    whole = ndimage.gaussian_filter(np.repeat(image[None], slices, axis=0), (0, 0.6, 0.6))
    return np.maximum(whole + rng.normal(0, 4, whole.shape), 0).astype(np.float32)


def test_both_engines_say_the_same() -> None:
    card = load_card("enhance")
    asked = np.random.default_rng(0).random((2, 2, 68, 84), np.float32)
    answers = [
        open_engine(FOLDER / "enhance" / card.weights.file, threads=1, engine=engine).run({"slices": asked})["detail"]
        for engine in ("onnxruntime", "openvino")
    ]
    assert answers[0].shape == (2, 1, 68, 84)
    assert np.abs(answers[0] - answers[1]).max() < card.tolerance


@pytest.mark.parametrize("axis", [1, 2])
def test_an_image_without_headers_is_completed_on_its_own_grid(tmp_path: Path, axis: int) -> None:
    truth = head()
    lines = truth if axis == 2 else truth.transpose(0, 2, 1)
    scanned = acquire(np.ascontiguousarray(lines), Shortcut(0.7), np.random.default_rng(1))
    scanned = scanned if axis == 2 else scanned.transpose(0, 2, 1)
    affine = np.diag([-1.0, -1.0, 5.0, 1.0])
    affine[:3, 3] = (40, 60, -10)
    nib.save(nib.Nifti1Image(scanned.transpose(2, 1, 0), affine), tmp_path / "fast.nii.gz")

    report = predict("enhance", {None: tmp_path / "fast.nii.gz"}, tmp_path / "out", threads=1)

    assert report["image"] == "enhanced.nii.gz"
    assert report["findings"] == []
    assert report["parameters"]["known from"] == "k-space"
    assert report["measurements"]["phase resolution acquired"]["value"] == pytest.approx(70, abs=3)
    assert json.loads((tmp_path / "out" / "findings.json").read_text())["notice"].endswith("Not for diagnosis.")
    assert not (tmp_path / "out" / "segmentation.nii.gz").exists()
    written = nib.nifti1.load(tmp_path / "out" / "enhanced.nii.gz")
    assert np.array_equal(written.affine, affine)
    image = np.asarray(written.dataobj).transpose(2, 1, 0)
    before, after = (float(np.mean((one - truth) ** 2)) for one in (scanned, image))
    assert after < before
