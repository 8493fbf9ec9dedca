"""What is said of a tumour: volumes of the regions, lesions, and the two diameters of what enhances."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from models.tumour.mark import BODY, ENHANCING, Marks
from models.volume import Volume

Mask = NDArray[np.bool_]


def measure(marks: Marks, volume: Volume, *, contrast: bool) -> dict[str, float]:
    """Measurements of a tumour that is there, by the names in the card.

    Args:
        contrast: a T1 with contrast was there: the diameters are those of what enhances, else of the body.
    """
    body = np.isin(marks.labels, np.array(BODY, np.uint8))
    measured = marks.labels == ENHANCING if contrast else body
    found = {
        "whole tumour": volume.measure_ml(marks.labels > 0),
        "tumour body": volume.measure_ml(body),
        "lesions": float(len(marks.lesions_ml)),
        "largest lesion": marks.lesions_ml[0],
    }
    longest, across = diameters(measured, volume)
    if across:
        found |= {
            "longest diameter": longest,
            "perpendicular diameter": across,
            "bidimensional product": longest * across / 100,
        }
    return found


def diameters(mask: Mask, volume: Volume) -> tuple[float, float]:
    """The longest diameter in one slice and the width across it, mm, of the part whose product of both is largest.

    Parts are connected within a slice and measured by their hulls, half a voxel beyond the centres of voxels.

    Source: RANO 2.0 (Wen et al., J Clin Oncol 2023;41:5187) measures the two largest perpendicular diameters.
    """
    best = (0.0, 0.0)
    for plane in mask[mask.any(axis=(1, 2))]:
        parts, _ = ndimage.label(plane, structure=np.ones((3, 3)))
        for number, box in enumerate(ndimage.find_objects(parts), start=1):
            found = _diameters(np.argwhere(parts[box] == number) * np.array(volume.spacing_mm))
            size = float(np.mean(volume.spacing_mm))
            if found is not None and (found[0] + size) * (found[1] + size) > best[0] * best[1]:
                best = (found[0] + size, found[1] + size)
    return best


def _diameters(points: NDArray[np.float64]) -> tuple[float, float] | None:
    """Of points in a plane, mm; None where they lie on a line."""
    if len(points) < 3:
        return None
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:
        return None
    apart = cdist(hull, hull)
    first, second = np.unravel_index(int(apart.argmax()), apart.shape)
    along = (hull[second] - hull[first]) / apart.max()
    across = hull @ np.array([-along[1], along[0]])
    return float(apart.max()), float(np.ptp(across))
