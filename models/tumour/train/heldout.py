"""Write synthetic tumour studies for `nightjar evaluate`.

python -m models.tumour.train.heldout --labelmaps DIR --out DIR [--fitting]

Persons from label maps that training never sees, two in three with tumours. The sequences have slices and matrices of
their own, and the patient moves between them. DIR/images/STUDY holds T1c, FLAIR, T2 and T1, DIR/truth the labels on the
T1c's grid and studies.csv. What a model scores on them says how well it does what the synthesis shows; it is not
accuracy on patients.

With --fitting they are what `models.tumour.train.fit` fits on beside its pool, and nothing is scored on them: other
persons, from the label maps of training, with orbits and old infarcts as there; every second has no tumour.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from models.ais.train.studies import draw_person, labelmap_files
from models.nifti import grid_of
from models.tumour.mark import ENHANCING, NON_ENHANCING, OEDEMA
from models.tumour.network import ROLES
from models.tumour.train import scanner
from models.tumour.train.orbits import furnish
from models.tumour.train.scars import draw_scars
from models.tumour.train.studies import Study, crop, draw_grid, draw_patient, scan_apart
from models.tumour.train.tumours import draw_tumours

SEED, FITTING_SEED = 20_262, 10_331
STUDIES_A_PERSON = 3
MOVEMENT_MM = 1.5
ROWS, SPACING_MM = 224, 1.03


def main() -> None:
    parser = argparse.ArgumentParser(description="Write synthetic tumour studies.")
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--fitting", action="store_true", help="what thresholds and probabilities are fitted on")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else FITTING_SEED if arguments.fitting else SEED
    drawn = draw(arguments.labelmaps, arguments.studies, seed, fitting=arguments.fitting)
    write(drawn, arguments.out, arguments.studies)


def write(drawn: Iterator[Study], out: Path, studies: int) -> None:
    """Write studies, of which there are so many."""
    (out / "truth").mkdir(parents=True, exist_ok=True)
    rows = []
    for number, study in enumerate(track(drawn, "Writing", total=studies), start=1):
        name = f"study-{number:03d}"
        save(study, out, name)
        rows.append(
            {
                "study": name,
                "thickness_mm": f"{study.images[ROLES[0]].slab_mm[0]:.1f}",
                "tumour": study.tumours[0].kind if study.tumours else "none",
                "lesions": str(len(study.tumours)),
            }
        )
    with (out / "truth" / "studies.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def draw(labelmaps: Path, studies: int, seed: int, *, fitting: bool = False) -> Iterator[Study]:
    """Studies, several a person, for a new person takes longest; every third one without a tumour.

    The same seed gives the same ones.

    Args:
        fitting: persons as in training's pool; every second study without a tumour.
    """
    files = labelmap_files(labelmaps, held_out=not fitting)
    for number in range(studies):
        person, rng = (np.random.default_rng([seed, number // STUDIES_A_PERSON, k]) for k in (0, 1 + number))
        if number % STUDIES_A_PERSON == 0:
            space = crop(draw_person(files, person))
            space, muscles = furnish(space, person) if fitting else (space, None)
        sick = number % 2 == 1 if fitting else number % STUDIES_A_PERSON != 2
        tumours = draw_tumours(rng) if sick else []
        grid = draw_grid(rng, rows=ROWS, spacing_mm=SPACING_MM)
        patient = draw_patient(space, rng, tumours, muscles=muscles, scars=draw_scars(rng) if fitting else 0)
        yield scan_apart(patient, grid, tumours, rng, movement_mm=MOVEMENT_MM)


def save(study: Study, out: Path, name: str) -> None:
    """The images of a study by role, and its labels, as NIfTI."""
    folder = out / "images" / name
    folder.mkdir(parents=True, exist_ok=True)
    for role, image in study.images.items():
        grid_of(image).write(image.voxels, folder / f"{role}.nii.gz", np.int16)
    grid_of(study.images[ROLES[0]]).write(labels_of(study.marks), out / "truth" / f"{name}.nii.gz")


def labels_of(marks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Values of the model's labels from the bits of a truth."""
    labels = np.zeros(marks.shape, np.uint8)
    for bit, value in ((scanner.WHOLE, OEDEMA), (scanner.BODY, NON_ENHANCING), (scanner.ENHANCING, ENHANCING)):
        labels[(marks & bit) > 0] = value
    return labels


def marks_of(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bits of a truth from values of the model's labels."""
    table = np.zeros(ENHANCING + 1, np.uint8)
    table[OEDEMA] = scanner.WHOLE
    table[NON_ENHANCING] = scanner.WHOLE | scanner.BODY
    table[ENHANCING] = scanner.WHOLE | scanner.BODY | scanner.ENHANCING
    return table[labels]


if __name__ == "__main__":
    main()
