"""Synthetic diffusion studies on disk, in the network's view: python -m models.ais.train.pool --labelmaps DIR --out DIR

Made once; each depends on its person's number and the seed alone, so that a pool can be gone on with.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.ais.network import cut, level_of
from models.ais.train.scanner import DiffusionScan
from models.ais.train.studies import AGED_SHARE, draw_person, draw_study, labelmap_files
from models.card import Preprocess
from models.view import View
from models.volume import Volume

VIEW = Preprocess(spacing_mm=1.3, size=160, slab_mm=2, window=(0, 4), centre=1, scale=1)
"""What the network is trained for; the card says the same."""

STUDIES_A_PERSON = 8
STROKE_SHARE = {"train": 0.75, "fit": 0.5}
Part = Literal["train", "fit"]
"""What the network learns from, and what its threshold and study probability are fitted on: other persons."""

CORE, INSIDE, TINY, SMALL = 1, 2, 4, 8
"""Bits of a mark: core, inside of the skull, and the size of the core's part: below TINY_ML, below SMALL_ML."""
TINY_ML, SMALL_ML = 0.3, 1.5


@dataclass(frozen=True, eq=False)
class Case:
    """A study in the view, each array (slices, size, size).

    Attributes:
        dwi: float16, over its usual signal.
        adc: int16, 1e-6 mm2/s.
        marks: uint8, the bits above.
        voxel_ml: volume of a voxel of the view.
        core_ml: volume of core on the acquired grid.
    """

    dwi: NDArray[np.float16]
    adc: NDArray[np.int16]
    marks: NDArray[np.uint8]
    voxel_ml: float
    core_ml: float

    def volumes(self) -> tuple[Volume, Volume]:
        """DWI and ADC as if they had been acquired like that, slices one upon the other."""
        step_mm = self.voxel_ml * 1000 / VIEW.spacing_mm**2
        heights = np.arange(len(self.dwi)) * step_mm
        positions = heights[:, None] * np.array([0.0, 0.0, 1.0])[None]
        across, down = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
        dwi, adc = (
            Volume(voxels.astype(np.float32), positions, across, down, (VIEW.spacing_mm, VIEW.spacing_mm))
            for voxels in (self.dwi * np.float16(1000), self.adc)
        )
        return dwi, adc

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, dwi=self.dwi, adc=self.adc, marks=self.marks, voxel_ml=self.voxel_ml, core_ml=self.core_ml)
        part.rename(path)

    @classmethod
    def load(cls, path: Path) -> "Case":
        with np.load(path) as archive:
            return cls(
                archive["dwi"],
                archive["adc"],
                archive["marks"],
                float(archive["voxel_ml"]),
                float(archive["core_ml"]),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description="Make synthetic diffusion studies for training.")
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--studies", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    fill(arguments.labelmaps, arguments.out, studies=arguments.studies, seed=arguments.seed)


def fill(labelmaps: Path, out: Path, *, studies: int, seed: int) -> None:
    """Write the studies below `studies` that are not there yet."""
    for _ in filling(labelmaps, out, studies=studies, seed=seed):
        pass


def filling(labelmaps: Path, out: Path, *, studies: int, seed: int) -> Iterator[Path]:
    """`fill`, one study a turn; the files written."""
    files = labelmap_files(labelmaps, held_out=False)
    out.mkdir(parents=True, exist_ok=True)
    for person in range(-(-studies // STUDIES_A_PERSON)):
        part: Part = "fit" if person % 5 == 1 else "train"
        numbers = range(person * STUDIES_A_PERSON, min(studies, (person + 1) * STUDIES_A_PERSON))
        missing = [number for number in numbers if not (out / f"{part}-{number:05d}.npz").exists()]
        if not missing:
            continue
        space = draw_person(files, np.random.default_rng([seed, person]), aged_share=AGED_SHARE)
        for number in missing:
            rng = np.random.default_rng([seed, person, number])
            study = draw_study(space, rng, stroke=bool(rng.random() < STROKE_SHARE[part]), flair=False)
            path = out / f"{part}-{number:05d}.npz"
            make_case(study.scan).save(path)
            yield path


def make_case(scan: DiffusionScan) -> Case:
    """A scan in the network's view; slices without any brain are left away."""
    volume = scan.dwi
    shown = np.flatnonzero(scan.inside.any(axis=(1, 2)))
    core = scan.core > 0
    view = View.of(volume, np.asarray(scan.inside.any(axis=0)), size=VIEW.size, spacing_mm=VIEW.spacing_mm)
    level = level_of(volume.voxels, scan.adc.voxels, scan.inside)
    bright, water = cut(volume.voxels[shown], scan.adc.voxels[shown], level, view, VIEW)
    sizes = _sizes(core, float(np.median(volume.voxel_ml)))
    bits = {CORE: core, INSIDE: scan.inside, TINY: core & (sizes < TINY_ML), SMALL: core & (sizes < SMALL_ML)}
    marks = np.zeros(bright.shape, np.uint8)
    for bit, mask in bits.items():
        for place, k in enumerate(shown):
            if mask[k].any():
                marks[place] |= np.uint8(bit) * (view.cut(mask[k].astype(np.float32)) >= 0.5)
    voxel_ml = VIEW.spacing_mm**2 * float(np.median(volume.slab_mm)) / 1000
    return Case(bright.astype(np.float16), water.astype(np.int16), marks, voxel_ml, volume.measure_ml(core))


def _sizes(core: NDArray[np.bool_], voxel_ml: float) -> NDArray[np.float64]:
    """At each voxel of core, the volume of the part it belongs to; mL."""
    parts, _ = ndimage.label(core, structure=np.ones((3, 3, 3)))
    return np.asarray(np.bincount(parts.ravel())[parts] * voxel_ml)


if __name__ == "__main__":
    main()
