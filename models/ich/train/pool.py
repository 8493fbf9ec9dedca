"""Synthetic cases on disk: made once, by a process of its own, while the network trains on those already there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, get_args

import numpy as np
from numpy.typing import NDArray

from models.ich.postprocess import BONE_HU
from models.synthesis.anatomy import draw_head
from models.synthesis.appearance import HARD, USUAL, Shares, paint
from models.synthesis.artefacts import spoil
from models.synthesis.bleeding import SUBTYPES, Bled, Bleed, Subtype, bleed
from models.synthesis.labelmaps import read_labelmap
from models.synthesis.scanner import Acquisition, Scan, scan
from models.synthesis.space import Space, vary
from models.synthesis.tissue import Anatomy, Tissue

SIZE = 192
SPACING_MM = 1.2
HELD_OUT_SHARE = 0.15
"""Of the label maps, the last by name: they serve for held-out studies and for nothing else."""

DRAWN_SHARE = 0.12
BLEED_FREE_SHARE = 0.4
CASES_A_PERSON = 5

# Volumes in mL drawn log-uniformly between these.
VOLUMES_ML: dict[Subtype, tuple[float, float]] = {
    "IPH": (0.5, 70),
    "IVH": (1, 40),
    "SDH": (5, 160),
    "EDH": (4, 90),
    "SAH": (2, 45),
}

SHARES: dict[Subtype, float] = {"IPH": 0.18, "IVH": 0.16, "SDH": 0.32, "EDH": 0.17, "SAH": 0.17}
"""Which bleeds a head gets; subdural ones look most different from one another."""

Part = Literal["train", "evidence"]
PARTS: tuple[Part, ...] = get_args(Part)
"""What the network learns from, and what its study probabilities are fitted on."""

INTRACRANIAL, LATERAL, LEFT = 16, 32, 64
"""Bits beside the bleed's label (the lower four)."""


@dataclass(frozen=True, eq=False)
class Case:
    """hu: int16 (slices, 192, 192) at 1.2 mm; marks: uint8 of the same shape, a label and the bits above."""

    hu: NDArray[np.int16]
    marks: NDArray[np.uint8]

    @property
    def labels(self) -> NDArray[np.uint8]:
        return np.asarray(self.marks & 15, np.uint8)

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, hu=self.hu, marks=self.marks)
        part.rename(path)

    @classmethod
    def load(cls, path: Path) -> "Case":
        with np.load(path) as archive:
            return cls(archive["hu"], archive["marks"])


def fill(labelmaps: Path, out: Path, *, count: int, seed: int, first: int = 0, stride: int = 1) -> None:
    """Write the cases below `count` that are not there yet; each depends on its person's number and `seed` alone.

    Args:
        first, stride: number of the first person and step to the next, so that several processes can share a pool.
    """
    anatomies = Anatomies(labelmaps, held_out=False)
    out.mkdir(parents=True, exist_ok=True)
    for person in range(first, -(-count // CASES_A_PERSON), stride):
        numbers = range(person * CASES_A_PERSON, (person + 1) * CASES_A_PERSON)
        part: Part = "evidence" if person % 6 == 5 else "train"
        paths = [out / f"{part}-{number:05d}.npz" for number in numbers]
        if all(path.exists() for path in paths):
            continue
        rng = np.random.default_rng([seed, person])
        space = vary(anatomies.draw(rng), rng)
        for number, path in zip(numbers, paths, strict=True):
            make_case(space, rng, HARD if part == "train" and number % 2 else USUAL).save(path)


class Anatomies:
    """Label maps, read once each, and heads drawn from formulas."""

    def __init__(self, labelmaps: Path, *, held_out: bool) -> None:
        maps = sorted(labelmaps.glob("*.nii.gz"))
        if not maps:
            raise SystemExit(f"--labelmaps {labelmaps}: no *.nii.gz there.")
        count = max(1, round(len(maps) * HELD_OUT_SHARE))
        self._maps = maps[-count:] if held_out else maps[:-count]
        self._read: dict[Path, Anatomy] = {}

    def draw(self, rng: np.random.Generator) -> Anatomy:
        if rng.random() < DRAWN_SHARE:
            return draw_head(rng)
        path = self._maps[rng.integers(len(self._maps))]
        if path not in self._read:
            self._read[path] = read_labelmap(path)
        return self._read[path]


def make_case(space: Space, rng: np.random.Generator, shares: Shares = USUAL) -> Case:
    """One head with its own bleeds, appearance and acquisition, on the network's grid."""
    step = float(rng.uniform(4.0, 6.5))
    acquisition = Acquisition(
        rows=SIZE,
        columns=SIZE,
        pixel_spacing_mm=SPACING_MM,
        slices=int(165 / step),
        step_mm=step,
        thickness_mm=float(step * rng.choice([1.0, 1.0, 0.5])),
        kernel="bone" if rng.random() < 0.1 else "soft",
        noise_hu=float(rng.uniform(0.8, 4.0)),
        blur_mm=float(rng.uniform(0.3, 1.2)),
        **draw_pose(rng),
    )
    scanned, _ = image(space, acquisition, rng, shares=shares)
    intracranial, lateral, left = scanned.masks
    marks = scanned.labels | intracranial * np.uint8(INTRACRANIAL) | lateral * np.uint8(LATERAL)
    return Case(scanned.volume.voxels.astype(np.int16), (marks | left * np.uint8(LEFT)).astype(np.uint8))


class Pose(TypedDict):
    """How a head lies, as `Acquisition` names it."""

    tilt_deg: float
    rotation_deg: tuple[float, float, float]


def draw_pose(rng: np.random.Generator) -> Pose:
    """How a head lies: gantry tilt in a half of them, and turned by a few degrees."""
    return {
        "tilt_deg": float(rng.uniform(-22, 22)) if rng.random() < 0.5 else 0.0,
        "rotation_deg": (float(rng.normal(0, 8)), float(rng.normal(0, 4)), float(rng.normal(0, 6))),
    }


def image(
    space: Space,
    acquisition: Acquisition,
    rng: np.random.Generator,
    bleed_free: float = BLEED_FREE_SHARE,
    shares: Shares = USUAL,
) -> tuple[Scan, Bled]:
    """Let a head bleed and scan it; the masks are intracranial space, lateral ventricles, the patient's left."""
    bled = bleed(space, draw_bleeds(rng, bleed_free), rng)
    masks = (bled.space.intracranial, bled.space.anatomy.mask(Tissue.LATERAL), bled.space.anatomy.left)
    scanned = scan(paint(bled, rng, shares=shares), bled.labels, acquisition, rng, masks)
    spoil(scanned.volume.voxels, acquisition.pixel_spacing_mm, rng)
    # Bone to everybody who outlines a bleed, though blood may fill half of the voxel.
    scanned.labels[scanned.volume.voxels > BONE_HU] = 0
    return scanned, bled


def held_out_person(anatomies: Anatomies, seed: int, number: int) -> tuple[Space, np.random.Generator]:
    """A person that training never saw, and the generator of what happens to them."""
    rng = np.random.default_rng([seed, number, 1])
    return vary(anatomies.draw(rng), rng), rng


def draw_bleeds(rng: np.random.Generator, bleed_free: float) -> list[Bleed]:
    """None, one, or a mix of subtypes; IPH often breaks into the ventricles."""
    if rng.random() < bleed_free:
        return []
    count = int(rng.choice([1, 1, 1, 2, 2, 3]))
    shares = [SHARES[label] for label in SUBTYPES]
    kinds = [int(k) for k in rng.choice(len(SUBTYPES), size=count, replace=False, p=shares)]
    if 0 in kinds and 1 not in kinds and rng.random() < 0.25:
        kinds.append(1)
    bleeds = []
    for kind in sorted(kinds):
        label = SUBTYPES[kind]
        low, high = VOLUMES_ML[label]
        bleeds.append(Bleed(label, float(np.exp(rng.uniform(np.log(low), np.log(high))))))
    return bleeds
