"""From the network's probabilities to the core and its lesions."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.ais.core import NEIGHBOURS, Core, Mask
from models.volume import Volume

BEYOND_MM = 3.0
"""How far beyond the brain that was found a core may reach: its rim is pale where an infarct is at the cortex."""

SURE = 0.98
"""A lesion's most probable voxel is at least this probable; chosen on the fitting studies."""

SMALLEST_ML, FEWEST_VOXELS = 0.02, 2
FASTEST_ADC = 1.0
"""Lesions whose median ADC exceeds this share of the brain's usual one restrict nothing: T2 shine-through, not core."""


def mark(p: NDArray[np.float32], adc: NDArray[np.float32], brain: Mask, volume: Volume, threshold: float) -> Core:
    """The lesions in probabilities of core.

    Args:
        p, adc, brain: (slice, row, column) on the volume's grid; ADC in 1e-6 mm2/s.
        threshold: voxels this probable are core.
    """
    inside = np.stack(
        [ndimage.distance_transform_edt(~plane, sampling=volume.spacing_mm) <= BEYOND_MM for plane in brain]
    )
    parts, _ = ndimage.label((p >= threshold) & inside, structure=NEIGHBOURS)
    voxel_ml = np.broadcast_to(volume.voxel_ml[:, None, None], parts.shape)
    tissue = adc[brain & (adc > 450) & (adc < 1250)]
    usual = float(np.median(tissue)) if tissue.size else 850.0
    peak = max(threshold, SURE)
    kept = []
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        part = parts[box] == number
        ml = float(voxel_ml[box][part].sum())
        known = adc[box][part & (adc[box] > 0)]
        if part.sum() < FEWEST_VOXELS or ml < SMALLEST_ML or p[box][part].max() < peak:
            continue
        if not known.size or np.median(known) > FASTEST_ADC * usual:
            continue
        kept.append((ml, number))
    return Core.of(parts, kept)
