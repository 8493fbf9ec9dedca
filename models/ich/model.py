"""The ICH model: preprocess, network, postprocess."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.card import Card
from models.engines import Engine
from models.errors import EngineFailure, MissingInput
from models.ich.maps import Maps, read_maps
from models.ich.postprocess import find, read
from models.ich.preprocess import Slices, prepare, stacks
from models.midline import midline_shift_mm
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
        maps = self.look(slices)
        reading = read(maps, slices, volume, self.card)
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
            measurements=self._measure(maps, slices.slab_mm(volume)),
            parameters={
                "engine": self.engine.name,
                **{f"{label.name} probability": label.operating_point.probability for label in self.card.labels},
                **{f"{label.name} volume mL": label.operating_point.volume_ml for label in self.card.labels},
            },
        )

    def look(self, slices: Slices) -> Maps:
        """What the network says of every voxel of its view.

        Raises:
            EngineFailure: its answer has another shape than the question, or holds no numbers.
        """
        return read_maps(self._run(stacks(slices.images, self.card.preprocess.neighbours)), self.card)

    def _measure(self, maps: Maps, slab_mm: NDArray[np.float64]) -> dict[str, float]:
        """Midline shift (mm) and lateral ventricles (mL), where the images show them."""
        spacing = self.card.preprocess.spacing_mm
        ventricles_ml = float((maps.ventricles > 0.5).sum(axis=(1, 2)) @ slab_mm) * spacing**2 / 1000
        shift = midline_shift_mm(maps.intracranial, maps.left, maps.ventricles, spacing)
        return {"lateral ventricles": ventricles_ml} | ({} if shift is None else {"midline shift": shift})

    def _run(self, shown: NDArray[np.float32]) -> NDArray[np.float32]:
        """(slabs, neighbours, size, size) to logits (slabs, channels, size, size).

        Raises:
            EngineFailure: the answer has another shape than the question.
        """
        parts = [
            self.engine.run({"slices": shown[start : start + self.card.batch]})["logits"]
            for start in range(0, len(shown), self.card.batch)
        ]
        logits = np.concatenate(parts)
        if logits.shape[2:] != shown.shape[2:]:
            raise EngineFailure(f"The network of {self.card.name} answered with {logits.shape}, not with its labels.")
        return logits
