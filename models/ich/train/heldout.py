"""Write synthetic studies that training never saw, for `nightjar evaluate`.

python -m models.ich.train.heldout --labelmaps DIR --out DIR

Held-out label maps and newly drawn heads, half of them without a bleed, cut as scanners do: thin and thick, tilted,
sharp and soft. DIR/images and DIR/truth hold NIfTI; DIR/truth/studies.csv says how each was cut. What a model scores on
them says how well it learned what it was taught; it is not accuracy on patients.
"""

import argparse
import csv
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import track

from models.ich.train.pool import Anatomies, draw_pose, held_out_person, image
from models.nifti import grid_of
from models.synthesis.bleeding import SUBTYPES
from models.synthesis.scanner import Acquisition, Scan

SEED = 20_261
BLEED_FREE_SHARE = 0.5
STUDIES_A_PERSON = 2
SMALLEST_ML = 0.3
"""A study shows what it shows in at least this much; less, and no slice lets anybody see it."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Write synthetic head CT that training never saw.")
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    write(arguments.labelmaps, arguments.out, arguments.studies, arguments.seed)


def write(labelmaps: Path, out: Path, studies: int, seed: int) -> None:
    """Write `studies` studies, two processes at a time; the same seed gives the same ones."""
    for part in ("images", "truth"):
        (out / part).mkdir(parents=True, exist_ok=True)
    persons = range(-(-studies // STUDIES_A_PERSON))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as executor:
        written = executor.map(partial(write_person, labelmaps, out, studies, seed), persons)
        rows = [row for some in track(written, "Writing", total=len(persons)) for row in some]
    with (out / "truth" / "studies.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_person(labelmaps: Path, out: Path, studies: int, seed: int, person: int) -> list[dict[str, str | int]]:
    """The studies of one person; returns their rows of studies.csv."""
    space, rng = held_out_person(Anatomies(labelmaps, held_out=True), seed, person)
    rows: list[dict[str, str | int]] = []
    for number in range(person * STUDIES_A_PERSON, min(studies, (person + 1) * STUDIES_A_PERSON)):
        acquisition = draw_acquisition(rng)
        scanned, _ = image(space, acquisition, rng, bleed_free=BLEED_FREE_SHARE)
        name = f"head-{number:04d}"
        save(scanned, out, name)
        shown = [scanned.volume.measure_ml(scanned.labels == value) for value in range(1, len(SUBTYPES) + 1)]
        rows.append(
            {
                "study": name,
                **{label: int(ml >= SMALLEST_ML) for label, ml in zip(SUBTYPES, shown, strict=True)},
                "any": int(max(shown) >= SMALLEST_ML),
                "thickness_mm": f"{acquisition.thickness_mm:.1f}",
                "kernel": acquisition.kernel,
            }
        )
    return rows


def draw_acquisition(rng: np.random.Generator) -> Acquisition:
    """Thick slices in most studies, thin ones (2 to 2.5 mm here) in some; a larger matrix than the network's."""
    step = float(rng.choice([2.5, 4.0, 5.0, 5.0, 5.0, 6.0, 7.5]))
    return Acquisition(
        rows=256,
        columns=256,
        pixel_spacing_mm=float(rng.uniform(0.82, 0.95)),
        slices=int(160 / step),
        step_mm=step,
        thickness_mm=step,
        kernel="bone" if rng.random() < 0.1 else "soft",
        noise_hu=float(rng.uniform(1.5, 4.5)),
        **draw_pose(rng),
    )


def save(scanned: Scan, out: Path, name: str) -> None:
    """Image (int16 HU) and truth (label values) on one grid."""
    grid = grid_of(scanned.volume)
    grid.write(scanned.labels, out / "truth" / f"{name}.nii.gz")
    grid.write(scanned.volume.voxels, out / "images" / f"{name}.nii.gz", np.int16)


if __name__ == "__main__":
    main()
