"""A small MR study of a head with a tumour and an infarct, as formulas: the same places, whatever a sequence's grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage
from support.images import receive
from support.instances import ROOT, ct

from models.volume import Volume
from services.context import Context

TUMOUR_MM, TUMOUR_RADIUS_MM = (28.0, -18.0, 8.0), 16.0
"""Where it is in the patient (LPS) and how large; its rim of 4 mm takes up contrast, oedema reaches 10 mm further."""

INFARCT_MM, INFARCT_RADIUS_MM = (-32.0, 6.0, 8.0), 13.0

_SIGNALS = {
    # brain, CSF, scalp, rim, core, oedema, infarct
    "T1c": (420, 180, 700, 900, 240, 360, 400),
    "T1": (420, 180, 700, 400, 240, 360, 400),
    "T2": (350, 900, 500, 550, 800, 650, 420),
    "FLAIR": (380, 90, 450, 520, 300, 780, 430),
    "ADC": (800, 3000, 1200, 1100, 1900, 1300, 450),
    "DWI": (300, 70, 60, 330, 200, 320, 620),
}


@dataclass(frozen=True)
class Grid:
    """How a sequence is scanned: axial slices around the middle of the head.

    Attributes:
        moved_mm: by how much the head lay elsewhere, which the headers do not say.
        frame: number of its frame of reference.
    """

    shape: tuple[int, int, int] = (22, 96, 96)
    spacing_mm: tuple[float, float, float] = (7.0, 2.4, 2.4)
    moved_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    frame: int = 9


def sequence(role: str, grid: Grid, *, seed: int = 3) -> NDArray[np.int16]:
    """The voxels of a sequence, (slice, row, column)."""
    places = [
        ((np.arange(n) - (n - 1) / 2) * mm).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (n, mm) in enumerate(zip(grid.shape, grid.spacing_mm, strict=True))
    ]
    z, y, x = (place - moved for place, moved in zip(places, grid.moved_mm[::-1], strict=True))
    brain_signal, csf_signal, scalp_signal, rim_signal, core_signal, oedema_signal, infarct_signal = _SIGNALS[role]
    r = np.sqrt((x / 66) ** 2 + (y / 82) ** 2 + (z / 68) ** 2)
    ventricles = ((np.abs(x) - 10) / 6) ** 2 + (y / 22) ** 2 + (z / 14) ** 2 < 1
    away, beside = (
        np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
        for centre in (TUMOUR_MM, INFARCT_MM)
    )
    values = np.where((r > 1.1) & (r < 1.22), scalp_signal, 0)
    values = np.where(r < 1, brain_signal, values)
    values = np.where((r < 1) & (ventricles | (r > 0.95)), csf_signal, values)
    values = np.where((r < 0.95) & (away < TUMOUR_RADIUS_MM + 10), oedema_signal, values)
    values = np.where((r < 0.95) & (away < TUMOUR_RADIUS_MM), rim_signal, values)
    values = np.where((r < 0.95) & (away < TUMOUR_RADIUS_MM - 4), core_signal, values)
    values = np.where((r < 0.95) & (beside < INFARCT_RADIUS_MM), infarct_signal, values)
    noise = np.random.default_rng(seed).normal(0, 12, grid.shape)
    return np.asarray(np.clip(np.broadcast_to(values, grid.shape) + noise * (values > 0), 0, 4000), np.int16)


def volume(role: str, grid: Grid) -> Volume:
    """A sequence where it lies."""
    corner = [-(n - 1) / 2 * mm for n, mm in zip(grid.shape, grid.spacing_mm, strict=True)]
    step, down, across = grid.spacing_mm
    heights = corner[0] + np.arange(grid.shape[0]) * step
    return Volume(
        voxels=sequence(role, grid).astype(np.float32),
        positions_mm=np.array([[corner[2], corner[1], height] for height in heights]),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(down, across),
    )


def instances(role: str, grid: Grid, *, series: int, study: int = 1) -> list[Dataset]:
    """A sequence as a scanner would send it."""
    scanned = volume(role, grid)
    return [
        ct(
            index,
            study=study,
            series=series,
            SOPClassUID=MRImageStorage,
            Modality="MR",
            ImageType=["ORIGINAL", "PRIMARY", "M", "SE"],
            SeriesDescription=role,
            FrameOfReferenceUID=f"{ROOT}.{study}.{grid.frame}",
            ImagePositionPatient=[f"{v:.6g}" for v in position],
            PixelSpacing=[f"{v:g}" for v in scanned.spacing_mm],
            SliceThickness=f"{grid.spacing_mm[0]:g}",
            Rows=grid.shape[1],
            Columns=grid.shape[2],
            PixelRepresentation=0,
            PixelData=plane.astype("<u2").tobytes(),
        )
        for index, (plane, position) in enumerate(zip(scanned.voxels, scanned.positions_mm, strict=True))
    ]


def receive_study(
    context: Context, grids: Mapping[str, Grid], *, roles: Sequence[str] = (), study: int = 1
) -> tuple[str, dict[str, str]]:
    """Intake of a study of several sequences, routed; Study Instance UID and Series Instance UIDs by role."""
    found: dict[str, str] = {}
    study_uid = ""
    for number, (role, grid) in enumerate(grids.items(), start=1):
        study_uid, found[role] = receive(context, instances(role, grid, series=number, study=study))
    with context.pool.connection() as connection:
        for role in roles or grids:
            connection.execute(
                "UPDATE series SET state = 'complete', role = %s WHERE series_uid = %s", [role, found[role]]
            )
    return study_uid, found


def voxel_of(place_mm: Sequence[float], grid: Grid) -> tuple[int, int, int]:
    """The voxel (slice, row, column) nearest to a place in the patient (LPS)."""
    found = [
        round(place / mm + (n - 1) / 2)
        for place, n, mm in zip(tuple(place_mm)[::-1], grid.shape, grid.spacing_mm, strict=True)
    ]
    return found[0], found[1], found[2]
