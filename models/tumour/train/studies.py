"""Whole synthetic studies: a person, perhaps tumours, what else is seen in heads, a scanner. Seeds repeat them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.ais.train.lesions import Mimic, add_mimic
from models.ais.train.scanner import Grid
from models.ais.train.tissue import Maps, Variety, draw_maps
from models.synthesis.space import Mask, Space
from models.synthesis.tissue import VOXEL_MM, Anatomy
from models.tumour.network import ROLES
from models.tumour.train.scanner import acquire, draw_look, inside, middle, truth
from models.tumour.train.scars import add_scars
from models.tumour.train.tissue import Contrast, Patient, draw_contrasts, paint
from models.tumour.train.tumours import Tumour, grow
from models.volume import Volume

MIMICS: tuple[tuple[Mimic, float], ...] = (("leukoaraiosis", 0.55), ("old", 0.06))
AROUND_MM = 26.0
"""How much of the head around the brain is kept."""

STEPS_MM = (2.0, 2.5, 3.0, 3.0, 4.0, 5.0, 5.0, 5.5, 6.0, 6.5)


@dataclass(frozen=True, eq=False)
class Study:
    """One synthetic study.

    Attributes:
        images: by role.
        marks: bits of `models.tumour.train.scanner` on the grid of the first role.
        inside: of the skull, likewise.
        ventricles, left: the lateral ones, and the patient's left half, likewise.
        tumours: what was put in.
    """

    images: dict[str, Volume]
    marks: NDArray[np.uint8]
    inside: Mask
    ventricles: Mask
    left: Mask
    tumours: tuple[Tumour, ...]


def crop(space: Space) -> Space:
    """The brain and what is near it: the rest of the grid costs time."""
    around = round(AROUND_MM / VOXEL_MM)
    [found] = ndimage.find_objects(space.brain.astype(np.uint8))
    box = tuple(
        slice(max(0, s.start - (around if axis else around // 2)), s.stop + around) for axis, s in enumerate(found)
    )
    anatomy = Anatomy(space.anatomy.tissue[box], space.anatomy.left[box])
    return Space(anatomy, space.intracranial[box], space.brain[box], space.depth_mm[box], space.sulci[box])


def draw_patient(
    space: Space, rng: np.random.Generator, tumours: list[Tumour], *, muscles: Mask | None = None, scars: int = 0
) -> Patient:
    """A person's tissues with tumours in them, and what is taken for tumours.

    Args:
        muscles: those of the orbits, which take up contrast.
        scars: old infarcts of all kinds, beside the simple ones that now and then are there anyway.
    """
    moved, parts = grow(space, tumours, rng)
    variety = Variety(
        spread=float(rng.uniform(0.5, 1.8)), texture=float(rng.uniform(0.02, 0.07)), t2=float(rng.uniform(0.9, 1.3))
    )
    maps = draw_maps(moved, rng, variety)
    faster = np.float32(rng.uniform(0.68, 1.02))  # T1 is shorter at 1.5 T; that of water is not
    maps = Maps(maps.density, np.where(maps.t1_ms < 3000, maps.t1_ms * faster, maps.t1_ms), maps.t2_ms, maps.adc)
    for mimic, share in MIMICS:
        if rng.random() < share:
            maps = add_mimic(maps, moved, mimic, rng, parts > 0)
    if scars:
        maps = add_scars(maps, moved, parts > 0, rng, count=scars)
    return paint(moved, maps, parts, rng, muscles)


def draw_grid(rng: np.random.Generator, *, rows: int, spacing_mm: float) -> Grid:
    """Axial slices that cover the brain, the head turned a little."""
    step = float(rng.choice(STEPS_MM))
    turn = rng.normal(0, (8, 4, 5))
    shift = rng.normal(0, (3, 3, 5))
    return Grid(
        rows=rows,
        columns=rows,
        spacing_mm=spacing_mm,
        slices=int(165 / step),
        step_mm=step,
        thickness_mm=step * float(rng.uniform(0.5, 1.0)),
        rotation_deg=(float(turn[0]), float(turn[1]), float(turn[2])),
        shift_mm=(float(shift[0]), float(shift[1]), float(shift[2])),
    )


def scan_together(patient: Patient, grid: Grid, tumours: list[Tumour], rng: np.random.Generator) -> Study:
    """All sequences as they are after registration and resampling: one grid, nearly one place, thickness differing."""
    images = {}
    alike = rng.random() < 0.5
    contrasts = draw_contrasts(rng)
    for role in ROLES:
        thickness = grid.thickness_mm if alike or role == ROLES[0] else float(rng.uniform(1, 6))
        pose = grid if role == ROLES[0] else moved(grid, 0.35, rng)
        images[role] = acquire(patient, draw_look(contrasts[role], thickness, rng), pose, rng, agent=role == "T1c")
    return Study(images, truth(patient, grid), inside(patient, grid), *middle(patient, grid), tuple(tumours))


def scan_apart(
    patient: Patient,
    grid: Grid,
    tumours: list[Tumour],
    rng: np.random.Generator,
    *,
    movement_mm: float,
    contrasts: Mapping[str, Contrast] | None = None,
) -> Study:
    """The sequences as they come from a scanner: slices and matrices of their own, the patient moving between them.

    Args:
        contrasts: by role; None: drawn.
    """
    images = {}
    contrasts = contrasts or draw_contrasts(rng)
    for role in ROLES:
        own = grid
        if role != ROLES[0]:
            step = float(rng.choice(STEPS_MM))
            rows = int(rng.choice([192, 224, 256]))
            own = replace(
                moved(grid, movement_mm, rng), rows=rows, columns=rows, spacing_mm=round(230 / rows, 3),
                slices=int(165 / step), step_mm=step, thickness_mm=0.9 * step,
            )  # fmt: skip
        images[role] = acquire(
            patient, draw_look(contrasts[role], own.thickness_mm, rng), own, rng, agent=role == "T1c"
        )
    return Study(images, truth(patient, grid), inside(patient, grid), *middle(patient, grid), tuple(tumours))


def moved(grid: Grid, millimetres: float, rng: np.random.Generator) -> Grid:
    """The head elsewhere: shifted by about so much along each axis, turned by as many degrees."""
    shift = np.array(grid.shift_mm) + rng.normal(0, millimetres, 3)
    turn = np.array(grid.rotation_deg) + rng.normal(0, millimetres, 3)
    return replace(
        grid,
        shift_mm=(float(shift[0]), float(shift[1]), float(shift[2])),
        rotation_deg=(float(turn[0]), float(turn[1]), float(turn[2])),
    )
