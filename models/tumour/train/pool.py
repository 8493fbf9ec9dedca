"""Synthetic tumour studies on disk, in the network's view: python -m models.tumour.train.pool --labelmaps DIR --out DIR

Made once; each depends on its person's number and the seed alone, so that a pool can be gone on with.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.ais.train.studies import draw_person, labelmap_files
from models.card import Preprocess
from models.tumour.network import ROLES, deep_of, head_of, level_of
from models.tumour.train.orbits import furnish
from models.tumour.train.scanner import BODY, WHOLE
from models.tumour.train.scars import draw_scars
from models.tumour.train.studies import Study, crop, draw_grid, draw_patient, scan_together
from models.tumour.train.tumours import draw_tumours
from models.volume import Volume

VIEW = Preprocess(spacing_mm=1.6, size=128, slab_mm=3, window=(0, 5), centre=1, scale=1)
"""What the network is trained for; the card says the same."""

STUDIES_A_PERSON = 4
TUMOUR_SHARE = {"train": 0.75, "fit": 0.5}
Part = Literal["train", "fit"]
"""What the network learns from, and what its thresholds and probabilities are fitted on: other persons."""

LEVEL = 50
"""Stored value of usual signal: 0 to 255 holds five times as much."""

INSIDE, SMALL, VENTRICLES, LEFT = 8, 16, 32, 64
"""Bits of a mark beside those of the regions: inside of the skull, bodies and tumours below SMALL_ML, lateral
ventricles, the patient's left half."""
SMALL_ML = 1.5


@dataclass(frozen=True, eq=False)
class Case:
    """A study in the view.

    Attributes:
        images: uint8, (role, slices, size, size) in the order of ROLES, LEVEL where signal is usual.
        marks: uint8, (slices, size, size), the bits above and those of the scanner.
        step_mm: from slice to slice.
        kind: of the first tumour; empty where there is none.
    """

    images: NDArray[np.uint8]
    marks: NDArray[np.uint8]
    step_mm: float
    kind: str

    def volumes(self) -> dict[str, Volume]:
        """By role, as if they had been acquired like that."""
        positions = np.arange(len(self.marks))[:, None] * np.array([[0.0, 0.0, self.step_mm]])
        spacing = (VIEW.spacing_mm, VIEW.spacing_mm)
        return {
            role: Volume(image.astype(np.float32), positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), spacing)
            for role, image in zip(ROLES, self.images, strict=True)
        }

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(file, images=self.images, marks=self.marks, step_mm=self.step_mm, kind=self.kind)
        part.rename(path)

    @classmethod
    def load(cls, path: Path) -> "Case":
        with np.load(path) as archive:
            return cls(archive["images"], archive["marks"], float(archive["step_mm"]), str(archive["kind"]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make synthetic tumour studies for training.")
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--studies", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    fill(arguments.labelmaps, arguments.out, studies=arguments.studies, seed=arguments.seed)


def fill(labelmaps: Path, out: Path, *, studies: int, seed: int) -> None:
    """Write the studies below `studies` that are not there yet."""
    files = labelmap_files(labelmaps, held_out=False)
    out.mkdir(parents=True, exist_ok=True)
    for person in range(-(-studies // STUDIES_A_PERSON)):
        part: Part = "fit" if person % 6 == 2 else "train"
        numbers = range(person * STUDIES_A_PERSON, min(studies, (person + 1) * STUDIES_A_PERSON))
        missing = [number for number in numbers if not (out / f"{part}-{number:05d}.npz").exists()]
        if not missing:
            continue
        rng = np.random.default_rng([seed, person])
        space, muscles = furnish(crop(draw_person(files, rng, drawn_share=0.1)), rng)
        for number in missing:
            rng = np.random.default_rng([seed, person, number])
            tumours = draw_tumours(rng) if rng.random() < TUMOUR_SHARE[part] else []
            grid = draw_grid(rng, rows=VIEW.size, spacing_mm=VIEW.spacing_mm)
            patient = draw_patient(space, rng, tumours, muscles=muscles, scars=draw_scars(rng))
            study = scan_together(patient, grid, tumours, rng)
            make_case(study, grid.step_mm).save(out / f"{part}-{number:05d}.npz")


def make_case(study: Study, step_mm: float) -> Case:
    """A study in the network's view; slices without any brain are left away."""
    shown = np.flatnonzero(study.inside.any(axis=(1, 2)))
    spacing = (VIEW.spacing_mm, VIEW.spacing_mm)
    deep = deep_of(head_of(study.images[ROLES[0]].voxels), spacing)
    images = [study.images[role].voxels for role in ROLES]
    images = [image[shown] / level_of(image, deep) * LEVEL for image in images]
    marks = study.marks.copy()
    for bit, mask in ((INSIDE, study.inside), (VENTRICLES, study.ventricles), (LEFT, study.left)):
        marks[mask] |= np.uint8(bit)
    voxel_ml = step_mm * VIEW.spacing_mm**2 / 1000
    for bit in (WHOLE, BODY):
        parts, _ = ndimage.label((marks & bit) > 0, structure=np.ones((3, 3, 3)))
        sizes = np.bincount(parts.ravel())[parts] * voxel_ml
        marks[(parts > 0) & (sizes < SMALL_ML)] |= np.uint8(SMALL)
    return Case(
        np.clip(np.rint(np.stack(images)), 0, 255).astype(np.uint8),
        marks[shown].astype(np.uint8),
        step_mm,
        study.tumours[0].kind if study.tumours else "",
    )


if __name__ == "__main__":
    main()
