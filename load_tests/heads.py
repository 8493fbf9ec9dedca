"""Head CTs as a scanner writes them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from models.synthesis import Acquisition, Bleed, synthesize_head
from models.volume import Volume
from services.demonstration.ct import ct_series
from services.demonstration.header import StudyHeader, write_part10
from services.demonstration.phantom import FIELD_OF_VIEW_MM, write_phantoms
from services.demonstration.plan import DEMONSTRATION

THIN_PER_THICK = 7


def write_head(scratch: Path, *, quick: bool) -> Path:
    """The folder of the axial series of one demonstration study; smaller in-plane when quick."""
    [study] = write_phantoms(scratch / "head", only=["none-1"], matrix=128 if quick else 512)
    return study.directory / "series2"


def write_thick_and_thin(scratch: Path, *, quick: bool) -> tuple[Path, Path]:
    """One head with a bleed twice: 32 x 512 x 512 at 5 mm, and 224 x 512 x 512 at 0.71 mm, seven to each thick slice.

    Smaller, and of 10 mm, when quick.
    """
    thick, step_mm, matrix = (14, 10.0, 128) if quick else (32, 5.0, 512)
    thin_mm = step_mm / THIN_PER_THICK
    acquisition = Acquisition(
        rows=matrix,
        columns=matrix,
        pixel_spacing_mm=FIELD_OF_VIEW_MM / matrix,
        slices=thick * THIN_PER_THICK,
        step_mm=thin_mm,
        thickness_mm=thin_mm,
    )
    thin = synthesize_head(acquisition, [Bleed("IPH", 40.0)], seed=1).volume
    averaged = replace(
        thin,
        voxels=thin.voxels.reshape(thick, THIN_PER_THICK, matrix, matrix).mean(axis=1),
        positions_mm=thin.positions_mm.reshape(thick, THIN_PER_THICK, 3).mean(axis=1),
    )
    return (
        _write(averaged, scratch / "thick", number=1, thickness_mm=step_mm),
        _write(thin, scratch / "thin", number=2, thickness_mm=thin_mm),
    )


def _write(volume: Volume, folder: Path, *, number: int, thickness_mm: float) -> Path:
    header = StudyHeader(DEMONSTRATION[0], seed=0, number=number)
    whole = replace(volume, voxels=np.round(volume.voxels))
    for dataset in ct_series(header, whole, series_number=2, kernel="soft", thickness_mm=thickness_mm):
        write_part10(dataset, folder / f"IM{dataset.InstanceNumber:04d}.dcm")
    return folder


def make_labelled_head(*, quick: bool) -> tuple[list[Dataset], NDArray[np.uint8]]:
    """A tilted head CT of 32 x 512 x 512 with a bleed, as a scanner sends it, and its labels; smaller when quick."""
    slices, step_mm, matrix = (14, 10.0, 128) if quick else (32, 5.0, 512)
    acquisition = Acquisition(
        rows=matrix,
        columns=matrix,
        pixel_spacing_mm=FIELD_OF_VIEW_MM / matrix,
        slices=slices,
        step_mm=step_mm,
        thickness_mm=step_mm,
        tilt_deg=-18.0,
    )
    head = synthesize_head(acquisition, [Bleed("IPH", 40.0), Bleed("SDH", 25.0)], seed=1)
    header = StudyHeader(DEMONSTRATION[0], seed=0, number=1)
    whole = replace(head.volume, voxels=np.round(head.volume.voxels))
    datasets = ct_series(header, whole, series_number=2, kernel="soft", thickness_mm=step_mm)
    return list(datasets), head.labels
