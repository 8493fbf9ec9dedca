"""Lesion by lesion by the rules of BraTS 2023: what was missed or invented counts as Dice 0 and HD95 374 mm.

Source: Saluja et al., BraTS 2023 lesion-wise performance metrics, with the parameters of the glioma challenge. There
every voxel is 1 mm wide; here the same reach is taken in millimetres on any grid, and HD95 is that of
`services.datasets.evaluation.overlap`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.volume import Volume
from services.datasets.evaluation.lesions import NEIGHBOURS
from services.datasets.evaluation.overlap import measure_overlap

REACH_MM = 3.0
"""Parts of the truth whose surroundings of so much meet are one lesion, and an answer in them finds it."""

SMALLEST_ML = 0.05
"""Lesions of the truth up to this are not scored; what finds them is not false either."""

WORST_HD95_MM = 374.0

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class LesionWise:
    """One region of one study.

    Attributes:
        dice, hd95_mm: means over lesions found, missed and false; 1 and 0 where there is none of them.
    """

    dice: float
    hd95_mm: float
    found: int
    missed: int
    false: int


@dataclass(frozen=True)
class LesionWiseSummary:
    """One region over studies with a label map, those that do not show it included.

    Attributes:
        dice, hd95_mm: means over studies, as the challenge ranks.
        found, missed, false: lesions of all of them.
    """

    studies: int
    dice: float
    hd95_mm: float
    found: int
    missed: int
    false: int


def lesion_wise(truth: Mask, answer: Mask, volume: Volume) -> LesionWise:
    """Score two masks, axes (slice, row, column), on the volume's grid.

    Lesions of the truth are its parts after a dilation, which changes what is one lesion and not its voxels. Each is
    held against all parts of the answer that lie in its dilation, whole; parts that lie in none are false.
    """
    around, count = ndimage.label(ndimage.binary_dilation(truth, structure=_surroundings(volume)), structure=NEIGHBOURS)
    parts, answered = ndimage.label(answer, structure=NEIGHBOURS)
    used: set[int] = set()
    scores: list[tuple[float, float]] = []
    missed = 0
    for number in range(1, count + 1):
        lesion = truth & (around == number)
        touching = np.setdiff1d(parts[around == number], [0])
        used.update(touching.tolist())
        if volume.measure_ml(lesion) <= SMALLEST_ML:
            continue
        overlap = measure_overlap(lesion, np.isin(parts, touching) & answer, volume)
        assert overlap is not None
        missed += not touching.size
        scores.append((overlap.dice, WORST_HD95_MM if overlap.hd95_mm is None else overlap.hd95_mm))
    false = answered - len(used)
    total = len(scores) + false
    if not total:
        return LesionWise(1.0, 0.0, 0, 0, 0)
    return LesionWise(
        dice=sum(dice for dice, _ in scores) / total,
        hd95_mm=(sum(hd95 for _, hd95 in scores) + false * WORST_HD95_MM) / total,
        found=len(scores) - missed,
        missed=missed,
        false=false,
    )


def _surroundings(volume: Volume) -> Mask:
    """What three steps to the 18 nearest neighbours reach where voxels are 1 mm wide, on the volume's grid."""
    spacing_mm = (float(np.median(volume.slab_mm)), *volume.spacing_mm)
    reach = [int((REACH_MM + 1e-6) / mm) for mm in spacing_mm]
    away = np.abs(
        np.meshgrid(*(np.arange(-n, n + 1) * mm for n, mm in zip(reach, spacing_mm, strict=True)), indexing="ij")
    )
    return np.asarray(away.sum(axis=0) <= 2 * REACH_MM + 1e-6, np.bool_)


def summarize_lesions(scored: Sequence[LesionWise]) -> LesionWiseSummary:
    """Of at least one study."""
    return LesionWiseSummary(
        studies=len(scored),
        dice=float(np.mean([one.dice for one in scored])),
        hd95_mm=float(np.mean([one.hd95_mm for one in scored])),
        found=sum(one.found for one in scored),
        missed=sum(one.missed for one in scored),
        false=sum(one.false for one in scored),
    )
