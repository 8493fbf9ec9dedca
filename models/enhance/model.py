"""The enhancement model: k-space the scanner skipped, estimated slice by slice and added to what it measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.card import Card
from models.engines import Engine
from models.enhance.preprocess import Planes, prepare
from models.errors import EngineFailure, InvalidCard, MissingInput
from models.prediction import ModelIdentity, Prediction
from models.volume import Volume

ROLE = "REDUCED"


def create(card: Card, decides: Engine | Path) -> "EnhanceModel":
    """The model with its network.

    Raises:
        InvalidCard: the card names something else than a network.
    """
    if isinstance(decides, Path):
        raise InvalidCard(f"The card of {card.name} names {decides.name}; this model needs a network (.onnx).")
    return EnhanceModel(card, decides)


@dataclass(frozen=True)
class EnhanceModel:
    """MR series with full phase-encoding resolution from one that was acquired with less."""

    card: Card
    engine: Engine

    def predict(self, inputs: Mapping[str, Volume]) -> Prediction:
        """Complete one series (role REDUCED).

        Raises:
            MissingInput, InvalidVolume, EngineFailure: see `models.registry.Model`.
        """
        if ROLE not in inputs:
            raise MissingInput(f"{self.card.name} needs an input of role {ROLE}.")
        volume = inputs[ROLE]
        planes = prepare(volume)
        detail = planes.restore(self.detail(planes))
        # A magnitude is never negative; nothing else bounds what is added.
        image = np.maximum(volume.voxels + detail, min(0.0, float(volume.voxels.min())))
        added = float(np.sqrt(np.mean((image - volume.voxels) ** 2, dtype=np.float64))) / planes.scale
        return Prediction(
            model=ModelIdentity(self.card.name, self.card.version, self.card.weights.sha256),
            segmentation=np.zeros(volume.voxels.shape, np.uint8),
            findings=(),
            probabilities={},
            slice_probabilities={},
            measurements={"phase resolution acquired": 100 * planes.encoding.fraction, "detail added": 100 * added},
            parameters={
                "engine": self.engine.name,
                "phase axis": "rows" if planes.encoding.axis == 1 else "columns",
                "phase resolution %": round(100 * planes.encoding.fraction, 1),
                "known from": "header" if volume.encoding else "k-space",
            },
            image=image.astype(np.float32),
        )

    def detail(self, planes: Planes) -> NDArray[np.float32]:
        """What the network would add to every plane, sides filled up.

        Raises:
            EngineFailure: the answer has another shape than the question.
        """
        parts = []
        for start in range(0, len(planes.images), self.card.batch):
            asked = planes.batch(start, self.card.batch)
            # Upside down is as good, and its errors are others.
            parts.append((self._ask(asked) + self._ask(asked[..., ::-1, ::-1])[..., ::-1, ::-1]) / 2)
        return np.concatenate(parts)

    def _ask(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(planes, 2, rows, columns) to what to add, (planes, rows, columns)."""
        detail = self.engine.run({"slices": np.ascontiguousarray(planes)})["detail"]
        if detail.shape != (len(planes), 1, *planes.shape[2:]):
            raise EngineFailure(f"The network of {self.card.name} answered with {detail.shape}, not with planes.")
        return np.asarray(detail[:, 0], np.float32)
