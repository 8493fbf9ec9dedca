"""From probabilities of regions to labels and lesions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.volume import Volume

NON_ENHANCING, OEDEMA, ENHANCING, UNDIVIDED = 1, 2, 3, 5
"""Values of the labels; the first three are those of BraTS 2023, the last stands for 1 and 3 where no T1c is there."""

BODY = (NON_ENHANCING, ENHANCING, UNDIVIDED)

SURE = 0.9
"""A lesion's most probable voxel is this much of the way from the threshold to 1; chosen on the fitting studies."""

SMALLEST_ML = 0.1
NEIGHBOURS = np.ones((3, 3, 3), np.bool_)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Marks:
    """What is marked, on the answer's grid.

    Attributes:
        labels: uint8 (slice, row, column), the values above.
        parts: number of the lesion at each voxel, 0 for none, the largest first.
        lesions_ml: their volumes with oedema, in that order.
    """

    labels: NDArray[np.uint8]
    parts: NDArray[np.int32]
    lesions_ml: tuple[float, ...]


@dataclass(frozen=True)
class Thresholds:
    """From which probability on a voxel belongs to a region."""

    whole: float
    body: float
    enhancing: float


def mark(p: NDArray[np.float32], volume: Volume, thresholds: Thresholds, *, contrast: bool) -> Marks:
    """The labels and lesions in probabilities of the regions.

    Args:
        p: (whole tumour, body, enhancing; slice, row, column) on the volume's grid.
        contrast: a T1 with contrast was there: the body is divided.
    """
    body = p[1] >= thresholds.body
    enhancing = p[2] >= thresholds.enhancing if contrast else np.zeros_like(body)
    body |= enhancing
    whole = (p[0] >= thresholds.whole) | body
    found, _ = ndimage.label(whole, structure=NEIGHBOURS)
    voxel_ml = np.broadcast_to(volume.voxel_ml[:, None, None], found.shape)
    peak = thresholds.whole + SURE * (1 - thresholds.whole)
    kept = []
    for number, box in enumerate(ndimage.find_objects(found), start=1):
        part = found[box] == number
        ml = float(voxel_ml[box][part].sum())
        if ml >= SMALLEST_ML and p[0][box][part].max() >= peak:
            kept.append((ml, number))
    kept.sort(reverse=True)
    order = np.zeros(int(found.max(initial=0)) + 1, np.int32)
    for place, (_, number) in enumerate(kept, start=1):
        order[number] = place
    parts = order[found]
    labels = np.zeros(whole.shape, np.uint8)
    labels[parts > 0] = OEDEMA
    labels[(parts > 0) & body] = NON_ENHANCING if contrast else UNDIVIDED
    labels[(parts > 0) & enhancing] = ENHANCING
    return Marks(labels, parts, tuple(ml for ml, _ in kept))
