"""Write synthetic diffusion studies for `nightjar evaluate`.

python -m models.ais.train.heldout --labelmaps DIR --out DIR

Persons from label maps that training never sees (or, with --training, from the others), half of them with a stroke, all
with what is taken for one. DIR/images/STUDY holds DWI, ADC and FLAIR, DIR/truth the cores and studies.csv. What a model
scores on them says how well it does what the synthesis shows; it is not accuracy on patients.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.progress import track

from models.ais.train.studies import AGED_SHARE, Study, draw_person, draw_study, labelmap_files
from models.nifti import grid_of
from models.volume import Volume

SEED = 20_261
STUDIES_A_PERSON = 3
ADC_UNITS = (1.0, 1e-3)
"""Of the maps, in 1e-6 mm2/s: scanners write either."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Write synthetic diffusion studies.")
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--training", action="store_true", help="persons from the label maps that are for training")
    arguments = parser.parse_args()
    write(arguments.labelmaps, arguments.out, arguments.studies, arguments.seed, held_out=not arguments.training)


def write(labelmaps: Path, out: Path, studies: int, seed: int, *, held_out: bool = True) -> None:
    """Write `studies` studies; the same seed gives the same ones."""
    (out / "truth").mkdir(parents=True, exist_ok=True)
    rows = []
    for number, study in enumerate(
        track(draw(labelmaps, studies, seed, held_out=held_out), "Writing", total=studies), start=1
    ):
        name = f"study-{number:03d}"
        save(study, out, name, adc_unit=ADC_UNITS[number % 2])
        volume = study.scan.dwi
        rows.append(
            {
                "study": name,
                "thickness_mm": f"{volume.slab_mm[0]:.1f}",
                "stroke": study.infarcts[0].kind if study.infarcts else "none",
                "lesions": str(len(study.infarcts)),
            }
        )
    with (out / "truth" / "studies.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def draw(labelmaps: Path, studies: int, seed: int, *, held_out: bool) -> Iterator[Study]:
    """Studies, several a person, for a new person takes longest; every other one without a stroke."""
    files = labelmap_files(labelmaps, held_out=held_out)
    for number in range(studies):
        person, rng = (np.random.default_rng([seed, number // STUDIES_A_PERSON, k]) for k in (0, 1 + number))
        if number % STUDIES_A_PERSON == 0:
            space = draw_person(files, person, aged_share=AGED_SHARE)
        yield draw_study(space, rng, stroke=number % 2 == 0)


def save(study: Study, out: Path, name: str, *, adc_unit: float) -> None:
    """The images of a study by role, and the core, as NIfTI."""
    folder = out / "images" / name
    folder.mkdir(parents=True, exist_ok=True)
    _write(study.scan.dwi, folder / "DWI.nii.gz", np.int16)
    _write(study.scan.adc, folder / "ADC.nii.gz", np.int16 if adc_unit == 1 else np.float32, adc_unit)
    if study.flair is not None:
        _write(study.flair, folder / "FLAIR.nii.gz", np.int16)
    grid_of(study.scan.dwi).write(study.scan.core, out / "truth" / f"{name}.nii.gz")


def _write(volume: Volume, path: Path, kind: type[np.generic], factor: float = 1.0) -> None:
    grid_of(volume).write(volume.voxels * factor, path, kind)


if __name__ == "__main__":
    main()
