"""An MR study in a hurry: T1 acquired whole, T2 and FLAIR with fewer phase-encoding lines."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from models.ais.train.tissue import draw_maps
from models.enhance.acquire import Shortcut, acquire
from models.enhance.kspace import resize
from models.enhance.train.slices import echo
from models.synthesis.anatomy import draw_head
from models.synthesis.space import Space
from models.synthesis.tissue import VOXEL_MM
from models.volume import Volume
from services.demonstration.header import StudyHeader
from services.demonstration.mr import Series, images

T1, T2, FLAIR = 2, 3, 4
"""Series numbers."""

LINES = {T1: 256, T2: 179, FLAIR: 192}
"""Phase-encoding lines of 256: all, 70 and 75 percent."""

MATRIX = 256
STEP_MM = 5.0
SLICES = 24
NOISE = 0.008
SCALE = 900.0
FINER = 3
"""Voxels of the anatomy are divided by this before edges are softened and k-space is cut."""


def reduced_series(header: StudyHeader, seed: int) -> Iterator[Dataset]:
    """Every image of the study; the same arguments give the same ones."""
    anatomy, rest = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    space = Space.of(draw_head(anatomy))
    maps = draw_maps(space, rest)
    brain = np.flatnonzero(space.brain.any(axis=(1, 2)))
    lowest = int((brain[0] + brain[-1]) / 2 - SLICES * STEP_MM / VOXEL_MM / 2)
    for number, kind, sequence, times in (
        (T1, "t1", ("SE",), (550.0, 12.0, None)),
        (T2, "t2", ("SE",), (5200.0, 100.0, None)),
        (FLAIR, "flair", ("SE", "IR"), (9000.0, 110.0, 2500.0)),
    ):
        volume = _scan(echo(maps, *times), lowest, LINES[number] / MATRIX, rest)
        series = Series(number, kind, (), sequence, times[0], times[1], times[2], phase_lines=LINES[number])
        yield from images(header, volume, series, image_type=("ORIGINAL", "PRIMARY", "M", "IR" if times[2] else "SE"))


def _scan(signal: NDArray[np.float32], lowest: int, fraction: float, rng: np.random.Generator) -> Volume:
    """Axial slices of STEP_MM, columns along the phase-encoding axis."""
    layers = round(STEP_MM / VOXEL_MM)
    starts = [lowest + round(k * STEP_MM / VOXEL_MM) for k in range(SLICES)]
    planes = [signal[max(0, start) : start + layers].mean(axis=0) for start in starts]
    brightest = float(np.percentile(np.stack(planes), 99.5))
    voxels = np.empty((SLICES, MATRIX, MATRIX), np.float32)
    for k, plane in enumerate(planes):
        fine = ndimage.gaussian_filter(np.kron(plane / brightest, np.ones((FINER, FINER), np.float32)), 1.0)
        for axis in (0, 1):
            fine = resize(fine, MATRIX, axis)
        voxels[k] = acquire(np.maximum(fine, 0), Shortcut(fraction, noise=NOISE), rng)
    edge = signal.shape[1] * VOXEL_MM
    positions = np.array([(-edge / 2, -edge / 2, k * STEP_MM) for k in range(SLICES)], np.float64)
    return Volume(
        voxels=np.round(voxels * SCALE).astype(np.float32),
        positions_mm=positions,
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(edge / MATRIX, edge / MATRIX),
    )
