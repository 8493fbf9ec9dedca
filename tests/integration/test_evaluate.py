"""`nightjar evaluate` with the real ICH model on a few tiny heads: files in, report out, calibration back in."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.heads import head_instances, small_head
from support.instances import write
from typer.testing import CliRunner

from models.nifti import grid_of
from models.registry import load_card
from services.cli import app

BLEEDS = {"none": (), "iph": (("IPH", 40.0),), "ivh": (("IVH", 30.0),)}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two heads as NIfTI, one as DICOM, all with label maps; and a file that is no image."""
    folder = tmp_path_factory.mktemp("heads")
    (folder / "images").mkdir()
    (folder / "truth").mkdir()
    for name, bleeds in BLEEDS.items():
        head = small_head(*bleeds)
        grid = grid_of(head.volume)
        if name == "iph":
            (folder / "images" / name).mkdir()
            for number, dataset in enumerate(head_instances(head)):
                write(dataset, folder / "images" / name / f"{number}.dcm")
        else:
            voxels = np.round(head.volume.voxels).astype(np.int16).transpose(2, 1, 0)
            nib.save(nib.Nifti1Image(voxels, grid.affine), folder / "images" / f"{name}.nii.gz")
        grid.write(head.labels, folder / "truth" / f"{name}.nii.gz")
    (folder / "images/torn.nii.gz").write_bytes(b"torn")
    (folder / "truth/studies.csv").write_text("study,any,scanner\ntorn,0,Alpha\niph,1,Beta\nivh,1,Alpha\n")
    (folder / "limits.yaml").write_text("max_failed: 1\nmax_seconds: 3600\nminimum_cases: 1\n")
    return folder


def test_the_papers_figures_come_from_files(base: Path) -> None:
    options = ["--task", "ich", "--images", base / "images", "--truth", base / "truth", "--out", base / "out"]
    options += ["--limits", base / "limits.yaml", "--synthetic", "--json"]
    result = CliRunner().invoke(app, ["evaluate", *map(str, options)])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["outcomes"] == {"analysed": 3, "failed": 1, "truth refused": 0}
    assert report["acceptance"]["judgement"] == "met"
    assert report["model"]["weights_sha256"] == load_card("ich").weights.sha256
    labels = report["labels"]
    assert list(labels) == ["any", *(label.name for label in load_card("ich").labels)]
    assert (labels["any"]["detection"]["positives"], labels["any"]["detection"]["negatives"]) == (2, 1)
    for name, truth in (("iph", "IPH"), ("ivh", "IVH")):
        expected = small_head(*BLEEDS[name])
        value = load_card("ich").label(truth).value
        (volume, _), *others = labels[truth]["volume"]["points"]
        assert not others
        assert volume == pytest.approx(expected.volume.measure_ml(expected.labels == value), rel=1e-4)
    # A truth on the same axes as its image overlaps what the model finds; turned or shifted it would not.
    assert labels["any"]["overlap"]["dice"]["median"] > 0.3
    assert {s["group"] for s in report["strata"] if s["by"] == "scanner"} == {"Alpha", "Beta"}
    html = (base / "out/evaluation.html").read_text()
    assert "Synthetic images: not clinical accuracy." in html
    assert "torn" in html
