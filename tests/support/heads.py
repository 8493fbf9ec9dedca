"""Synthetic heads as DICOM, small enough for tests and with enough anatomy for the model."""

from dataclasses import replace
from functools import cache

import numpy as np
from pydicom.dataset import Dataset
from support.instances import ct

from models.synthesis import Acquisition, Bleed, SyntheticHead, synthesize_head
from models.volume import Volume


@cache
def small_head(*bleeds: tuple[str, float], seed: int = 4, tilt_deg: float = 12.0) -> SyntheticHead:
    """A head of 14 slices of 128 x 128; `bleeds` as (label, mL)."""
    acquisition = Acquisition(
        rows=128, columns=128, pixel_spacing_mm=1.8, slices=14, step_mm=10.0, thickness_mm=5.0, tilt_deg=tilt_deg
    )
    return synthesize_head(acquisition, [Bleed(label, ml) for label, ml in bleeds], seed)  # type: ignore[arg-type]


def head_instances(head: SyntheticHead, *, study: int = 1) -> list[Dataset]:
    """The head as a scanner would send it, inferior to superior."""
    volume = head.volume
    orientation = [f"{v:.8g}" for v in (*volume.row_direction, *volume.column_direction)]
    return [
        ct(
            index,
            study=study,
            ImagePositionPatient=[f"{v:.6g}" for v in position],
            ImageOrientationPatient=orientation,
            PixelSpacing=[str(v) for v in volume.spacing_mm],
            Rows=volume.voxels.shape[1],
            Columns=volume.voxels.shape[2],
            RescaleSlope="1",
            RescaleIntercept="0",
            RescaleType="HU",
            PixelData=voxels.astype("<i2").tobytes(),
        )
        for index, (voxels, position) in enumerate(zip(volume.voxels, volume.positions_mm, strict=True))
    ]


def stacked(volume: Volume, times: int, *, wide: int = 1) -> Volume:
    """The same slices again and again, upwards, each repeated along both axes: seconds of work."""
    height = np.ptp(volume.offsets_mm) + 10.0
    return replace(
        volume,
        voxels=np.tile(volume.voxels, (times, wide, wide)),
        positions_mm=np.concatenate([volume.positions_mm + volume.normal * height * n for n in range(times)]),
    )
