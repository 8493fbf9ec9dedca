"""python -m load_tests.cases CASES OUT: the real cases as `nightjar evaluate` takes them, a folder OUT/NAME a task.

CASES holds public images as their publishers name them: a head CT without a bleed (dcm_qa_ct), a stroke of ISLES 2022,
a glioma of TCGA-LGG with the fusion of five algorithms' masks (silver truth). They are for looking at, never for
training or tuning.
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.nifti import read_nifti
from models.resample import resample

BRATS = {1: 1, 2: 2, 4: 3}
"""Labels of BraTS before 2023 to those of the tumour model."""

ROLES = {"T1c": "t1c", "FLAIR": "fla", "T2": "t2", "T1": "t1"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Lay out the real cases for `nightjar evaluate`.")
    parser.add_argument("cases", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    for lay, source in (
        (head_ct, arguments.cases / "dicom" / "ct_head_ge_tilted"),
        (stroke, arguments.cases / "stroke" / "isles22_0001"),
        (tumour, arguments.cases / "tumour" / "tcga_fg_6692"),
    ):
        lay(source, arguments.out)


def head_ct(source: Path, out: Path) -> None:
    """One read: no bleed."""
    images, truth = _folders(out / "ich")
    shutil.copytree(source, images / source.name, dirs_exist_ok=True)
    (truth / "studies.csv").write_text(f"study,any\n{source.name},0\n", encoding="utf-8")


def stroke(source: Path, out: Path) -> None:
    """DWI and ADC with an expert's mask, which lies on the DWI."""
    images, truth = _folders(out / "ais")
    (images / source.name).mkdir(exist_ok=True)
    for role in ("dwi", "adc"):
        shutil.copyfile(_one(source, f"*_{role}.nii.gz"), images / source.name / f"{role.upper()}.nii.gz")
    shutil.copyfile(_one(source, "*_msk.nii.gz"), truth / f"{source.name}.nii.gz")


def tumour(source: Path, out: Path) -> None:
    """Four sequences without skulls; the truth comes to the grid of the T1c, each label where half of a voxel is it."""
    images, truth = _folders(out / "tumour")
    (images / source.name).mkdir(exist_ok=True)
    for role, name in ROLES.items():
        shutil.copyfile(_one(source / "raw_bet", f"*_{name}_bet.nii.gz"), images / source.name / f"{role}.nii.gz")
    reference, grid = read_nifti(images / source.name / "T1c.nii.gz")
    fused, _ = read_nifti(source / "fusion" / "mav.nii.gz")
    labels: NDArray[np.uint8] = np.zeros(reference.voxels.shape, np.uint8)
    for given, meant in BRATS.items():
        share = resample(replace(fused, voxels=(fused.voxels == given).astype(np.float32)), reference)
        labels[share > 0.5] = meant
    grid.write(labels, truth / f"{source.name}.nii.gz")


def _folders(folder: Path) -> tuple[Path, Path]:
    images, truth = folder / "images", folder / "truth"
    for each in (images, truth):
        each.mkdir(parents=True, exist_ok=True)
    return images, truth


def _one(folder: Path, pattern: str) -> Path:
    return next(folder.glob(pattern))


if __name__ == "__main__":
    main()
