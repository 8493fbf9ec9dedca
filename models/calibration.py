"""A site's calibration of a model: study probabilities that mean what they say there, and where a finding begins.

A calibration file (YAML, written by `nightjar evaluate --calibrate`) is bound to one file of weights: figures fitted to
one network say nothing about another.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import expit, logit

from models.card import Calibration, Card, Digest, OperatingPoint, read_part
from models.errors import InvalidCard

CERTAIN = 1e-6
"""Probabilities closer to 0 or 1 count as this far away: a logit must be finite."""


def calibrated(probability: float, calibration: Calibration) -> float:
    """A study probability after Platt scaling: expit(slope * logit(p) + intercept). The default gives p back.

    Source: Platt, Probabilistic outputs for support vector machines, Advances in Large Margin Classifiers, 1999.
    """
    return float(calibrate_all(np.array(probability), calibration))


def calibrate_all(probabilities: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    """`calibrated` of many, any shape."""
    if calibration == Calibration():
        return probabilities
    return np.asarray(expit(calibration.slope * logits(probabilities) + calibration.intercept))


def logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(p / (1 - p)), kept finite."""
    return np.asarray(logit(np.clip(probabilities, CERTAIN, 1 - CERTAIN)))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CalibratedLabel(_Part):
    """One label's calibration and the operating points that were found for it, by name."""

    calibration: Calibration = Calibration()
    operating_points: dict[str, OperatingPoint] = {}


class ModelCalibration(_Part):
    """What a calibration file holds.

    Attributes:
        use: name of the operating point in use, such as "high sensitivity"; a label without it keeps its card's.
        fitted_on: how many studies, and which, in words; never patient data.
    """

    model: str
    version: str
    weights_sha256: Digest
    use: str
    fitted_on: str = ""
    labels: Annotated[dict[str, CalibratedLabel], Field(min_length=1)]

    @model_validator(mode="after")
    def _use_exists(self) -> Self:
        known = sorted({name for label in self.labels.values() for name in label.operating_points})
        if known and self.use not in known:
            raise ValueError(f"use: there is no operating point {self.use}; there are {', '.join(known)}")
        return self


def read_calibration(path: Path) -> ModelCalibration:
    """Read a calibration file.

    Raises:
        InvalidCard: a line for each thing that is wrong.
    """
    return read_part(path, ModelCalibration, whole="file", advice=" Name a file that can be read.")


def calibrate_card(card: Card, calibration: ModelCalibration) -> Card:
    """The card with the site's calibration and operating points in place of its own.

    Its version says so ("0.2.0+site.1a2b3c4d"): another calibration gives other answers, which are other results.

    Raises:
        InvalidCard: it was fitted to another model, version or file of weights, or names a label the card lacks.
    """
    if calibration.model != card.name:
        raise InvalidCard(f"The calibration is for {calibration.model}, not for {card.name}. Name the model's own.")
    if (calibration.version, calibration.weights_sha256) != (card.version, card.weights.sha256):
        raise InvalidCard(
            f"The calibration was fitted to {calibration.model} {calibration.version} "
            f"(weights {calibration.weights_sha256[:12]}); installed is {card.version} "
            f"({card.weights.sha256[:12]}). Calibrate again: nightjar evaluate --calibrate."
        )
    names = [label.name for label in card.labels]
    unknown = sorted(set(calibration.labels) - set(names))
    if unknown:
        raise InvalidCard(
            f"The calibration names {', '.join(unknown)}; {card.name} has {', '.join(names)}. Calibrate again."
        )
    labels = []
    for label in card.labels:
        own = calibration.labels.get(label.name, CalibratedLabel(calibration=label.calibration))
        point = own.operating_points.get(calibration.use, label.operating_point)
        labels.append(label.model_copy(update={"calibration": own.calibration, "operating_point": point}))
    digest = hashlib.sha256(calibration.model_dump_json(exclude={"fitted_on"}).encode()).hexdigest()
    return card.model_copy(update={"labels": tuple(labels), "version": f"{card.version}+site.{digest[:8]}"})
