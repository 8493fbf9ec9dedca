"""`nightjar predict`: exit code 0 for an answer, 1 for an image or model that cannot be used, 2 for wrong use."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.diffusion_head import Sphere, head
from support.instances import ct, write
from support.tiny_network import write_bright_network

from models import predict as module
from models.calibration import ModelCalibration, calibrate_card
from models.engines import open_engine
from models.ich.model import create
from models.nifti import grid_of, read_nifti
from models.registry import Model, load_card, load_model
from services import cli


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = load_card("ich")
    engine = open_engine(write_bright_network(tmp_path / "tiny.onnx", card), threads=1)

    def load(name: str, threads: int, calibration: ModelCalibration | None, method: str | None) -> Model:
        return create(card if calibration is None else calibrate_card(card, calibration), engine)

    monkeypatch.setattr(module, "load_model", load)


@pytest.fixture
def nightjar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> "Command":
    monkeypatch.chdir(tmp_path)
    return Command(monkeypatch, capsys)


class Command:
    """The console script, with its exit code and what it printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self._monkeypatch.setattr("sys.argv", ["nightjar", "predict", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = self._capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err


@pytest.fixture
def image(tmp_path: Path) -> Path:
    x, y = np.meshgrid(*[np.arange(100) - 49.5] * 2, indexing="ij")
    data = np.repeat(np.where(x**2 + y**2 < 45**2, 30, -1000)[:, :, None], 6, axis=2).astype(np.int16)
    data[40:60, 40:60, 2:4] = 90
    nib.save(nib.Nifti1Image(data, np.diag([1.8, 1.8, 5, 1])), tmp_path / "head.nii.gz")
    return tmp_path / "head.nii.gz"


def test_an_answer_is_printed_and_written(nightjar: Command, image: Path) -> None:
    code, out, _ = nightjar(image, "--out", "result")
    assert code == 0
    assert "Suspected IPH" in out
    assert "Not for diagnosis" in out
    assert sorted(path.name for path in Path("result").iterdir()) == ["findings.json", "segmentation.nii.gz"]


def test_json_is_what_the_file_holds_and_nothing_else(nightjar: Command, image: Path) -> None:
    code, out, _ = nightjar("--input", f"NCCT={image}", "--json")
    assert code == 0
    assert json.loads(out) == json.loads(Path("prediction/findings.json").read_text())


def test_without_a_finding_no_flag_is_raised(nightjar: Command, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    for index in range(4):
        write(ct(index, PixelData=np.full((16, 16), 30, "<i2").tobytes()), folder / f"{index}.dcm")
    (folder / "README").write_text("no image")
    code, out, _ = nightjar(folder)
    assert code == 0
    assert "No flag raised." in out
    assert "Test" not in out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["absent.nii.gz"], 1, "absent.nii.gz does not exist."),
        (["."], 1, "holds no axial CT series"),
        (["--input", "T1=head.nii.gz"], 1, "ich has no input of role T1; it reads NCCT."),
        (["tiny.onnx"], 1, "tiny.onnx cannot be read as NIfTI."),
        (["--input", "head.nii.gz"], 2, "write it as ROLE=FILE"),
        ([], 2, "Nothing to analyse"),
        (["--colour"], 2, "No such option"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    nightjar: Command, image: Path, arguments: list[str], code: int, sentence: str
) -> None:
    ended, out, err = nightjar(*arguments)
    assert ended == code
    assert sentence in " ".join(err.split())
    assert out == ""
    assert "Traceback" not in err
    assert not Path("prediction").exists()


def test_a_sites_calibration_moves_the_operating_point(nightjar: Command, image: Path) -> None:
    card = load_card("ich")
    content = {
        "model": "ich",
        "version": card.version,
        "weights_sha256": card.weights.sha256,
        "use": "large",
        "labels": {"IPH": {"operating_points": {"large": {"probability": 0.5, "volume_ml": 1000}}}},
    }
    Path("site.yaml").write_text(json.dumps(content))
    code, out, _ = nightjar(image, "--calibration", "site.yaml")
    assert (code, "No flag raised." in out) == (0, True)
    Path("site.yaml").write_text(json.dumps({**content, "version": "0.0.1"}))
    code, _, err = nightjar(image, "--calibration", "site.yaml")
    assert code == 1
    assert "fitted to ich 0.0.1" in err


def test_a_model_of_several_inputs_says_its_measurements_in_words(
    nightjar: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load_model", load_model)
    made = head(Sphere((35.0, 10.0, 12.0), 13.0))
    for role, volume in (("DWI", made.dwi), ("ADC", made.adc), ("FLAIR", made.flair)):
        nib.save(nib.Nifti1Image(volume.voxels.transpose(2, 1, 0), grid_of(volume).affine), tmp_path / f"{role}.nii.gz")
    given = [part for role in ("DWI", "ADC", "FLAIR") for part in ("--input", f"{role}={role}.nii.gz")]
    code, out, err = nightjar("--model", "ais", "--method", "adc620", *given, "--out", "result")
    assert code == 0, err
    lines = out.splitlines()
    assert "lesions: 1" in lines
    assert "DWI-FLAIR mismatch: present" in lines
    assert "core, right: 0 mL" in lines
    mask = read_nifti(tmp_path / "result" / "segmentation.nii.gz")[0].voxels > 0
    assert 2 * (mask & made.truth).sum() > 0.9 * (mask.sum() + made.truth.sum())
    code, out, err = nightjar("--model", "ais", "--input", "DWI=DWI.nii.gz")
    assert (code, out) == (1, "")
    assert "ais needs an input of role ADC" in err
