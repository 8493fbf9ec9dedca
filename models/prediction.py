"""What a model says about an image."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Urgency(IntEnum):
    """Clinical urgency; smaller is sooner, as on the worklist."""

    IMMEDIATE = 1
    URGENT = 2
    STANDARD = 3

    @property
    def word(self) -> str:
        return self.name.capitalize()


@dataclass(frozen=True)
class ModelIdentity:
    """Which weights spoke: name and version of the card, SHA-256 of the weights file."""

    name: str
    version: str
    weights_digest: str


@dataclass(frozen=True)
class Finding:
    """One suspected finding in a study.

    Attributes:
        label: name of the label in the model's card, such as "IPH".
        probability: that the study shows it, 0 to 1.
        volume_ml: volume of its voxels on the acquired grid.
        urgency: how soon somebody should look.
        key_slice: index of the slice that shows it best, 0-based in the input volume's order.
        volume_range_ml: volume of the voxels the model is surer and less sure of (`volume_ml` lies between), mL;
            None where the model does not say.
        abc2_ml: the largest component's volume by ABC/2, for comparison with a reader's ruler; None where the formula
            does not apply.
    """

    label: str
    probability: float
    volume_ml: float
    urgency: Urgency
    key_slice: int
    volume_range_ml: tuple[float, float] | None = None
    abc2_ml: float | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """One model's answer for one input.

    Attributes:
        model: which weights answered.
        segmentation: uint8, axes (slice, row, column) on the first input's grid; values are the card's labels.
        findings: those above the operating point, most urgent first; empty means no flag is raised, never "normal".
        probabilities: per label, that the study shows it, including labels below the operating point.
        slice_probabilities: per label, float32 (slices,).
        urgency: of the study; STANDARD when there is no finding.
        measurements: by the names of the card's measures, in their units; only those that could be taken.
        parameters: operating point and settings that shaped the answer, for the record.
        image: of a model that makes images instead of marks: float32 on the first input's grid, in its units.
    """

    model: ModelIdentity
    segmentation: NDArray[np.uint8]
    findings: tuple[Finding, ...]
    probabilities: dict[str, float]
    slice_probabilities: dict[str, NDArray[np.float32]]
    urgency: Urgency = Urgency.STANDARD
    measurements: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, float | str] = field(default_factory=dict)
    image: NDArray[np.float32] | None = None
