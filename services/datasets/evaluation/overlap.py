"""How well two masks on one grid coincide: Dice, surface Dice and the Hausdorff distance.

Surfaces are the faces between voxels inside and outside a mask. Each face is a point in the patient's frame, placed by
its slice's own position, and weighs as much as its area; so uneven gaps and a tilted gantry are measured as they are,
without resampling. Distances go from face centre to face centre: across a flat face they overstate by less than half
its diagonal, which is below the resolution of the image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from models.volume import Volume
from services.datasets.evaluation.lesions import lesion_f1

TOLERANCE_MM = 2.0
PERCENTILE = 0.95

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Overlap:
    """Attributes:
    dice: 2 |A and B| / (|A| + |B|), by volume.
    nsd: normalised surface distance (surface Dice) at TOLERANCE_MM, by area.
    hd95_mm: the larger of the two directed 95th percentiles of surface distance; None when one mask is empty.
    lesion_f1: F1 over lesions (see `services.datasets.evaluation.lesions`).
    """

    dice: float
    nsd: float
    hd95_mm: float | None
    lesion_f1: float = 0.0


def measure_overlap(truth: Mask, answer: Mask, volume: Volume) -> Overlap | None:
    """Compare two masks, axes (slice, row, column), on the volume's grid; None when both are empty.

    Source: Nikolov et al., J Med Internet Res 2021;23:e26151 (surface Dice, percentiles by area).
    """
    truth_ml, answer_ml = volume.measure_ml(truth), volume.measure_ml(answer)
    if truth_ml + answer_ml == 0:
        return None
    if truth_ml == 0 or answer_ml == 0:
        return Overlap(0.0, 0.0, None)
    (a, area_a), (b, area_b) = surface(truth, volume), surface(answer, volume)
    from_a, from_b = np.asarray(KDTree(b).query(a)[0]), np.asarray(KDTree(a).query(b)[0])
    near = area_a[from_a <= TOLERANCE_MM].sum() + area_b[from_b <= TOLERANCE_MM].sum()
    return Overlap(
        dice=2 * volume.measure_ml(truth & answer) / (truth_ml + answer_ml),
        nsd=float(near / (area_a.sum() + area_b.sum())),
        hd95_mm=max(_percentile(from_a, area_a), _percentile(from_b, area_b)),
        lesion_f1=lesion_f1(truth, answer) or 0.0,
    )


def surface(mask: Mask, volume: Volume) -> tuple[Points, Points]:
    """Faces of a mask that is not empty: centres (faces, 3) in LPS mm, and areas (faces,) in square mm."""
    down, across = volume.spacing_mm
    row, column = np.array(volume.row_direction), np.array(volume.column_direction)
    # Places halfway between slices; beyond the ends as far out as the neighbour is in.
    positions = volume.positions_mm
    if len(positions) == 1:
        step = volume.normal * volume.slab_mm[0]
        edges = np.stack([positions[0] - step / 2, positions[0] + step / 2])
    else:
        middles = (positions[1:] + positions[:-1]) / 2
        edges = np.concatenate([[2 * positions[0] - middles[0]], middles, [2 * positions[-1] - middles[-1]]])
    centres, areas = [], []
    # Only the box around the mask is looked at: thin slices of a whole head are many voxels.
    box = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in range(3)]
    part = mask[tuple(slice(low, high + 1) for low, high in box)]
    for axis in range(3):
        pad = [(1, 1) if a == axis else (0, 0) for a in range(3)]
        edge = np.nonzero(np.diff(np.pad(part, pad).astype(np.int8), axis=axis))
        k, r, c = (index + low for index, (low, _) in zip(edge, box, strict=True))
        base = edges[k] if axis == 0 else positions[k]
        r_at = r - 0.5 if axis == 1 else r
        c_at = c - 0.5 if axis == 2 else c
        centres.append(base + (r_at * down)[:, None] * column + (c_at * across)[:, None] * row)
        areas.append(
            np.full(len(k), down * across) if axis == 0 else volume.slab_mm[k] * (across if axis == 1 else down)
        )
    return np.concatenate(centres), np.concatenate(areas)


def _percentile(distances: Points, areas: Points) -> float:
    """Smallest distance within which PERCENTILE of the area lies."""
    order = np.argsort(distances)
    share = np.cumsum(areas[order]) / areas.sum()
    return float(distances[order][min(int(np.searchsorted(share, PERCENTILE)), len(share) - 1)])
