"""An image in a few figures, for noticing that images are no longer what they were. Nothing in them is a patient's."""

import numpy as np

from models.volume import Volume

ENOUGH = 500_000
"""So many voxels, evenly taken, say as much as all."""


def describe(volume: Volume) -> dict[str, float]:
    """Intensity and spacing, by names with their units.

    Intensities are of voxels above the mean, which leaves the air around a head out: their median, and how far the
    5th percentile is from the 95th, in the image's own units.
    """
    voxels = volume.voxels.reshape(-1)
    voxels = voxels[:: max(1, voxels.size // ENOUGH)]
    bright = voxels[voxels > voxels.mean()]
    low, middle, high = np.percentile(bright if bright.size else voxels, (5, 50, 95))
    steps_mm = np.abs(np.diff(volume.offsets_mm))
    return {
        "intensity": float(middle),
        "contrast": float(high - low),
        "pixel mm": float(np.mean(volume.spacing_mm)),
        "slice step mm": float(np.median(steps_mm)) if steps_mm.size else 0.0,
    }
