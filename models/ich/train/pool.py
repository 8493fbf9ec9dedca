"""Synthetic cases on disk: made once, by a process of its own, while the network trains on those already there."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.synthesis.anatomy import draw_head
from models.synthesis.appearance import paint
from models.synthesis.bleeding import SUBTYPES, Bleed, Space, Subtype, grow
from models.synthesis.labelmaps import read_labelmap
from models.synthesis.scanner import Acquisition, scan

SIZE = 192
SPACING_MM = 1.2
VALIDATION_SHARE = 0.15
DRAWN_SHARE = 0.25
BLEED_FREE_SHARE = 0.3

# Volumes in mL drawn log-uniformly between these.
VOLUMES_ML: dict[Subtype, tuple[float, float]] = {
    "IPH": (0.3, 70),
    "IVH": (0.5, 40),
    "SDH": (4, 110),
    "EDH": (4, 90),
    "SAH": (1.5, 45),
}


@dataclass(frozen=True, eq=False)
class Case:
    """hu: int16 (slices, 192, 192) at 1.2 mm; labels: uint8 of the same shape."""

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(file, hu=self.hu, labels=self.labels)
        part.rename(path)

    @classmethod
    def load(cls, path: Path) -> "Case":
        with np.load(path) as archive:
            return cls(archive["hu"], archive["labels"])


def fill(labelmaps: Path, out: Path, *, count: int, seed: int, first: int = 0, stride: int = 1) -> None:
    """Write the cases below `count` that are not there yet; each depends on its number and `seed` alone.

    Args:
        first, stride: number of the first case and step to the next, so that several processes can share a pool.
    """
    maps = sorted(labelmaps.glob("*.nii.gz"))
    if not maps:
        raise SystemExit(f"--labelmaps {labelmaps}: no *.nii.gz there.")
    held_out = max(1, round(len(maps) * VALIDATION_SHARE))
    out.mkdir(parents=True, exist_ok=True)
    spaces: dict[Path, Space] = {}
    for number in range(first, count, stride):
        part = "validation" if number % 8 == 7 else "train"
        path = out / f"{part}-{number:05d}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng([seed, number])
        if rng.random() < DRAWN_SHARE:
            space = Space.of(draw_head(rng))
        else:
            choice = maps[-held_out:] if part == "validation" else maps[:-held_out]
            source = choice[rng.integers(len(choice))]
            if source not in spaces:
                spaces[source] = Space.of(read_labelmap(source))
            space = spaces[source]
        make_case(space, rng).save(path)


def make_case(space: Space, rng: np.random.Generator) -> Case:
    """One head with its own bleeds, appearance and acquisition."""
    labels = grow(space, draw_bleeds(rng), rng)
    step = rng.uniform(4.0, 6.5)
    acquisition = Acquisition(
        rows=SIZE,
        columns=SIZE,
        pixel_spacing_mm=SPACING_MM,
        slices=int(165 / step),
        step_mm=step,
        thickness_mm=step * rng.choice([1.0, 1.0, 0.5]),
        tilt_deg=rng.uniform(-22, 22) if rng.random() < 0.5 else 0.0,
        rotation_deg=(rng.normal(0, 7), rng.normal(0, 3), rng.normal(0, 5)),
        noise_hu=rng.uniform(1.0, 4.5),
    )
    volume, cut = scan(paint(space, labels, rng), labels, acquisition, rng)
    return Case(volume.voxels.astype(np.int16), cut)


def draw_bleeds(rng: np.random.Generator) -> list[Bleed]:
    """None, one, or a mix of subtypes; IPH often breaks into the ventricles."""
    if rng.random() < BLEED_FREE_SHARE:
        return []
    kinds = list(rng.choice(len(SUBTYPES), size=int(rng.choice([1, 1, 2, 3])), replace=False))
    if 0 in kinds and 1 not in kinds and rng.random() < 0.3:
        kinds.append(1)
    bleeds = []
    for kind in kinds:
        label = SUBTYPES[kind]
        low, high = VOLUMES_ML[label]
        bleeds.append(Bleed(label, float(np.exp(rng.uniform(np.log(low), np.log(high))))))
    return bleeds
