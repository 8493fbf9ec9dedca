"""Where the brain is on an MR series, coarsely: enough to point out what somebody drew outside it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.resample import resample
from models.volume import Volume
from services.datasets.deidentify.brain import STEP_MM, find_brain
from services.datasets.deidentify.hold import Hold

MARGIN_MM = 6.0
"""So far beyond what was found counts as brain still: meninges belong to some labels, and the finding is coarse."""


def brain_on(volume: Volume) -> NDArray[np.bool_] | None:
    """Brain with its margin, axes (slice, row, column); None where none can be told from the rest of the head."""
    try:
        found = find_brain(volume, "MR")
    except Hold:
        return None
    near = ndimage.distance_transform_edt(~found.brain, sampling=STEP_MM) <= MARGIN_MM
    coarse = Volume(
        np.asarray(near, np.float32),
        found.origin_mm + np.arange(len(near))[:, None] * np.array([0.0, 0.0, STEP_MM]),
        (1.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
        (STEP_MM, STEP_MM),
    )
    return np.asarray(resample(coarse, volume) > 0.5)
