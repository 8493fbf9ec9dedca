"""`nightjar predict`: files in, files out, and a sentence for what cannot be done."""

import json
from importlib.metadata import version
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from support.ct import as_bytes, tilted_ct
from support.tiny_network import write_bright_network

from models import predict as module
from models.engines import open_engine
from models.errors import InvalidCard, InvalidVolume, MissingInput, UnwritableOutput
from models.ich.model import create
from models.predict import predict
from models.prediction import Finding, ModelIdentity, Prediction, Urgency
from models.registry import load_card
from models.volume import Volume


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = load_card("ich")
    engine = open_engine(write_bright_network(tmp_path / "tiny.onnx", card), threads=1)
    monkeypatch.setattr(module, "load_model", lambda name, threads, calibration, method: create(card, engine))


def head() -> NDArray[np.int16]:
    """Axes left, anterior, superior of a 1.5 x 1.5 x 5 mm grid."""
    x, y = np.meshgrid(*[(np.arange(120) - 59.5) * 1.5] * 2, indexing="ij")
    plane = np.where(x**2 + y**2 < 75**2, 30, -1000)
    data = np.repeat(plane[:, :, None], 8, axis=2).astype(np.int16)
    data[60:75, 50:70, 3:6] = 90
    return data


def test_a_nifti_comes_back_as_mask_on_its_grid_and_findings(tmp_path: Path) -> None:
    affine = np.diag([-1.5, 1.5, 5.0, 1.0])
    nib.save(nib.Nifti1Image(head(), affine), tmp_path / "head.nii.gz")
    report = predict("ich", {None: tmp_path / "head.nii.gz"}, tmp_path / "out" / "deep")
    assert json.loads((tmp_path / "out/deep/findings.json").read_text()) == report
    written = nib.nifti1.load(tmp_path / "out/deep/segmentation.nii.gz")
    mask = np.asanyarray(written.dataobj)
    assert np.allclose(written.affine, affine)
    truth = head() == 90
    assert 2 * ((mask == 1) & truth).sum() / ((mask == 1).sum() + truth.sum()) > 0.9
    (finding,) = report["findings"]
    assert (finding["label"], report["labels"]["1"]) == ("IPH", "IPH")
    assert finding["volume_ml"] == pytest.approx((mask == 1).sum() * 1.5 * 1.5 * 5 / 1000, abs=0.001)
    assert finding["key_slice"] in (3, 4, 5)
    assert report["flag_raised"]
    assert report["notice"] == "Prioritisation only. Not for diagnosis."
    assert len(report["model"]["weights_sha256"]) == 64
    assert report["nightjar"] == version("nightjar")
    assert report["parameters"]["engine"].endswith(" float32")
    assert report["grid"]["even"]


def test_everything_the_model_measured_is_in_the_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure, *_ = load_card("ich").measures
    findings = (
        Finding("IPH", 0.9, 12.3456, Urgency.IMMEDIATE, 2, volume_range_ml=(10.1234, 15.0), abc2_ml=14.5),
        Finding("SAH", 0.7, 2.0, Urgency.URGENT, 2),
    )

    class Scripted:
        card = load_card("ich")

        def predict(self, inputs: dict[str, Volume]) -> Prediction:
            segmentation = np.zeros(inputs["NCCT"].voxels.shape, np.uint8)
            identity = ModelIdentity("ich", "1", "0" * 64)
            return Prediction(identity, segmentation, findings, {}, {}, measurements={measure.name: 4.56789})

    monkeypatch.setattr(module, "load_model", lambda name, threads, calibration, method: Scripted())
    nib.save(nib.Nifti1Image(head(), np.diag([1.5, 1.5, 5, 1])), tmp_path / "head.nii")
    report = predict("ich", {None: tmp_path / "head.nii"}, tmp_path / "out")
    said = json.loads((tmp_path / "out/findings.json").read_text())
    assert said == report
    assert [(found["volume_range_ml"], found["abc2_ml"]) for found in said["findings"]] == [
        ([10.123, 15.0], 14.5),
        (None, None),
    ]
    assert said["measurements"] == {measure.name: {"value": 4.568, "unit": measure.unit}}


def test_a_folder_of_dicom_is_read_by_the_models_modality(tmp_path: Path) -> None:
    for k, dataset in enumerate(tilted_ct()):
        (tmp_path / f"{k}.dcm").write_bytes(as_bytes(dataset))
    report = predict("ich", {"NCCT": tmp_path}, tmp_path / "out")
    assert not report["grid"]["even"]
    assert len(report["grid"]["positions_mm_lps"]) == 10
    assert nib.nifti1.load(tmp_path / "out/segmentation.nii.gz").shape == (64, 64, 10)


def test_what_cannot_be_done_is_said_with_the_path_or_role(tmp_path: Path) -> None:
    with pytest.raises(InvalidVolume, match=r"nowhere\.nii does not exist"):
        predict("ich", {None: tmp_path / "nowhere.nii"}, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidVolume, match="empty holds no axial CT series"):
        predict("ich", {None: tmp_path / "empty"}, tmp_path)
    with pytest.raises(MissingInput, match="no input of role T1; it reads NCCT"):
        predict("ich", {"T1": tmp_path}, tmp_path)
    nib.save(nib.Nifti1Image(head(), np.diag([1.5, 1.5, 5, 1])), tmp_path / "head.nii")
    with pytest.raises(UnwritableOutput, match=r"--out .*head\.nii"):
        predict("ich", {None: tmp_path / "head.nii"}, tmp_path / "head.nii")


def test_an_unknown_model_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    with pytest.raises(InvalidCard, match="no model nothing"):
        predict("nothing", {None: tmp_path}, tmp_path)
