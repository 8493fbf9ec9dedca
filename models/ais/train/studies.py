"""Whole synthetic studies: a person, perhaps a stroke, what is taken for one, a scanner. Seeds give the same study."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.ais.train.lesions import Infarct, Mimic, add_mimic, draw_infarcts, infarct
from models.ais.train.scanner import DiffusionScan, DiffusionSequence, Grid, scan_diffusion, scan_flair, strip
from models.ais.train.tissue import Variety, draw_maps
from models.synthesis.anatomy import draw_head
from models.synthesis.labelmaps import read_labelmap
from models.synthesis.space import Space, age, vary
from models.volume import Volume

HELD_OUT = 3
"""Label maps that training never sees: the last ones by name, as for the other models."""

MIMICS: tuple[tuple[Mimic, float], ...] = (
    ("shine-through", 0.3),
    ("old", 0.35),
    ("leukoaraiosis", 0.5),
    ("both sides", 0.5),
    ("plexus", 0.2),
)
AGED_SHARE = 0.6
"""Of those who may have had a stroke."""

CORTEX_MM = (2.0, 3.2)
STRIPPED_SHARE, MAP_STRIPPED_SHARE = 0.25, 0.15
"""Of the studies: those without anything outside the brain, and those whose map alone has nothing there."""


@dataclass(frozen=True, eq=False)
class Study:
    """One synthetic study.

    Attributes:
        scan: diffusion, with the truth.
        flair: on a grid of its own; None where none was acquired.
        infarcts: what was put in.
    """

    scan: DiffusionScan
    flair: Volume | None
    infarcts: tuple[Infarct, ...]


def labelmap_files(folder: Path, *, held_out: bool) -> list[Path]:
    """Label maps for training, or those kept from it."""
    files = sorted(folder.glob("*.nii*"))
    return files[-HELD_OUT:] if held_out else files[:-HELD_OUT]


def draw_person(
    files: list[Path], rng: np.random.Generator, *, drawn_share: float = 0.2, aged_share: float = 0.0
) -> Space:
    """A head from a label map, bent into another person's and perhaps aged, or now and then one from formulas."""
    if not files or rng.random() < drawn_share:
        return Space.of(draw_head(rng))
    space = vary(read_labelmap(files[rng.integers(len(files))]), rng)
    if aged_share and rng.random() < aged_share:
        return age(space, float(rng.uniform(*CORTEX_MM)), rng)
    return space


def draw_study(space: Space, rng: np.random.Generator, *, stroke: bool, flair: bool = True) -> Study:
    """A study of a person with everything else drawn."""
    infarcts = draw_infarcts(rng) if stroke else []
    mimics = [mimic for mimic, share in MIMICS if rng.random() < share]
    variety = Variety(
        spread=float(rng.uniform(0.5, 2.2)),
        texture=float(rng.uniform(0.02, 0.08)),
        t2=float(rng.uniform(0.9, 1.3)),
        adc=float(rng.uniform(0.93, 1.12)),
    )
    study = make_study(space, infarcts, mimics, *draw_acquisition(rng), rng, flair=flair, variety=variety)
    kind = rng.random()
    if kind < STRIPPED_SHARE + MAP_STRIPPED_SHARE:
        return replace(study, scan=strip(study.scan, map_alone=bool(kind >= STRIPPED_SHARE)))
    return study


def make_study(
    space: Space,
    infarcts: list[Infarct],
    mimics: list[Mimic],
    grid: Grid,
    sequence: DiffusionSequence,
    rng: np.random.Generator,
    *,
    flair: bool = True,
    variety: Variety | None = None,
) -> Study:
    """A study of a person, a stroke and a scanner."""
    maps = draw_maps(space, rng, variety)
    maps, core = infarct(maps, space, infarcts, rng)
    for mimic in mimics:
        maps = add_mimic(maps, space, mimic, rng, core)
    scanned = scan_diffusion(maps, space, core, grid, sequence, rng)
    if not flair:
        return Study(scanned, None, tuple(infarcts))
    # The patient moved a little; FLAIR has a matrix of its own.
    finer = replace(
        grid,
        rows=256,
        columns=256,
        spacing_mm=0.9,
        resolution_mm=1.0,
        rotation_deg=_three(a + rng.normal(0, 0.6) for a in grid.rotation_deg),
        shift_mm=_three(rng.normal(0, 0.6) for _ in range(3)),
    )
    return Study(scanned, scan_flair(maps, space, finer, rng), tuple(infarcts))


def draw_acquisition(rng: np.random.Generator) -> tuple[Grid, DiffusionSequence]:
    """Slices of 2 to 6.5 mm, matrices of 0.9 to 2.2 mm, weighted at b 800 to 1500, good and bad ones."""
    step = float(rng.choice([2.0, 3.0, 4.0, 5.0, 5.0, 5.5, 6.0, 6.5]))
    spacing = float(rng.uniform(0.9, 2.2))
    matrix = int(np.ceil(228 / spacing / 2)) * 2
    grid = Grid(
        rows=matrix,
        columns=matrix,
        spacing_mm=spacing,
        slices=int(144 / step),
        step_mm=step,
        thickness_mm=step * float(rng.uniform(0.75, 1.0)),
        rotation_deg=_three(rng.normal(0, (8, 4, 5))),
        shift_mm=(float(rng.normal(0, 3)), float(rng.normal(0, 3)), float(rng.normal(4, 4))),
        resolution_mm=float(rng.uniform(1.5, 2.5)),
    )

    def now_and_then(share: float, most: float) -> float:
        return float(rng.uniform(0, most)) if rng.random() < share else 0.0

    sequence = DiffusionSequence(
        b_value=float(rng.choice([800.0, 1000.0, 1000.0, 1000.0, 1000.0, 1200.0, 1500.0])),
        echo_time_ms=float(rng.uniform(55, 105)),
        snr=float(rng.uniform(7, 30)),
        distortion_mm=float(rng.uniform(0, 11)),
        coil=float(rng.uniform(0.03, 0.22)),
        directions=int(rng.choice([1, 3])),
        acceleration=now_and_then(0.4, 1.0),
        movement_mm=now_and_then(0.6, 1.2),
        ghost=now_and_then(0.3, 0.06),
        stripes=now_and_then(0.4, 0.05),
        fat=float(np.exp(rng.uniform(np.log(0.5), np.log(5)))),
        fat_shift_mm=float(rng.normal(0, 6)),
        empty_below=float(rng.uniform(0.0, 0.1)),
    )
    return grid, sequence


def _three(values: Iterable[float]) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
