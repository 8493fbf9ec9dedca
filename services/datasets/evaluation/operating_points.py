"""Where a finding should begin: thresholds on probability that reach a stated sensitivity or specificity."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HIGH_SENSITIVITY, HIGH_SPECIFICITY = "high sensitivity", "high specificity"

Values = NDArray[np.float64]
Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class Targets:
    """What the two operating points are chosen to reach, and which of them is put to use."""

    sensitivity: float = 0.95
    specificity: float = 0.95
    use: str = HIGH_SENSITIVITY


@dataclass(frozen=True)
class Threshold:
    """On probability, and whether it reaches its target."""

    probability: float
    reached: bool


def choose_thresholds(
    probabilities: Values, volumes_ml: Values, truth: Truth, volume_ml: float, targets: Targets
) -> dict[str, Threshold]:
    """The thresholds that reach each target and give away least of the other, by name.

    High sensitivity takes the highest threshold that is sensitive enough, high specificity the lowest that is specific
    enough; where one threshold can do both, each takes the end of that range that its name says. Thresholds lie halfway
    between neighbouring probabilities.

    Args:
        volume_ml: what a finding must measure as well; it can put a sensitivity out of reach.
    """
    large = volumes_ml >= volume_ml
    values = np.unique(probabilities)
    thresholds = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [(values[-1] + 1) / 2]])
    found = (probabilities[None] >= thresholds[:, None]) & large[None]
    sensitive = np.flatnonzero(found[:, truth].mean(axis=1) >= targets.sensitivity)
    specific = np.flatnonzero((~found[:, ~truth]).mean(axis=1) >= targets.specificity)
    low = int(sensitive[-1]) if len(sensitive) else 0
    high = int(specific[0])  # nothing is found at the last, so it is specific
    if len(sensitive):
        low, high = min(low, high), max(low, high)
    return {
        HIGH_SENSITIVITY: Threshold(float(thresholds[low]), bool(len(sensitive))),
        HIGH_SPECIFICITY: Threshold(float(thresholds[high]), True),
    }
