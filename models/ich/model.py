"""The ICH model: preprocess, network, postprocess."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from models.card import Card
from models.engines import Engine
from models.errors import EngineFailure, MissingInput
from models.ich.postprocess import find, read_probabilities
from models.ich.preprocess import prepare
from models.prediction import ModelIdentity, Prediction, Urgency
from models.volume import Volume

ROLE = "NCCT"


def create(card: Card, engine: Engine) -> "ICHModel":
    return ICHModel(card, engine)


@dataclass(frozen=True)
class ICHModel:
    """Five subtypes of intracranial haemorrhage on unenhanced head CT."""

    card: Card
    engine: Engine

    def predict(self, inputs: Mapping[str, Volume]) -> Prediction:
        """Analyse one head CT (role NCCT).

        Raises:
            MissingInput, InvalidVolume, EngineFailure: see `models.registry.Model`.
        """
        if ROLE not in inputs:
            raise MissingInput(f"{self.card.name} needs an input of role {ROLE}.")
        volume = inputs[ROLE]
        slices = prepare(volume, self.card.preprocess)
        reading = read_probabilities(self._run(slices.stacks()), slices, volume, self.card)
        findings = find(reading, volume, self.card)
        # Voxels below a label's operating point are no finding, and no object that leaves may look like one.
        shown = [self.card.label(finding.label).value for finding in findings]
        segmentation = np.where(np.isin(reading.segmentation, shown), reading.segmentation, 0).astype(np.uint8)
        return Prediction(
            model=ModelIdentity(self.card.name, self.card.version, self.card.weights.sha256),
            segmentation=segmentation,
            findings=findings,
            probabilities=reading.probabilities,
            slice_probabilities=reading.slice_probabilities,
            urgency=min((finding.urgency for finding in findings), default=Urgency.STANDARD),
            parameters={
                "engine": self.engine.name,
                **{f"{label.name} probability": label.operating_point.probability for label in self.card.labels},
                **{f"{label.name} volume mL": label.operating_point.volume_ml for label in self.card.labels},
            },
        )

    def _run(self, stacks: NDArray[np.float32]) -> NDArray[np.float32]:
        """(slabs, 3, size, size) to probabilities (slabs, classes, size, size)."""
        parts = [
            self.engine.run({"slices": stacks[start : start + self.card.batch]})["logits"]
            for start in range(0, len(stacks), self.card.batch)
        ]
        logits = np.concatenate(parts)
        if logits.shape[1] != 1 + len(self.card.labels) or logits.shape[2:] != stacks.shape[2:]:
            raise EngineFailure(f"The network of {self.card.name} answered with {logits.shape}, not with its labels.")
        if not np.isfinite(logits).all():  # softmax and argmax would quietly make "no finding" of it
            raise EngineFailure(f"The network of {self.card.name} answered with values that are no numbers.")
        return np.asarray(softmax(logits, axis=1), np.float32)
