"""The AIS model: DWI and ADC in, the ischaemic core out; by its network, or by the consensus rule adc620."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.ais.adc620 import Numbers, find_core, read_numbers
from models.ais.core import Core
from models.ais.mark import SMALLEST_ML, mark
from models.ais.measure import measure
from models.ais.network import probabilities
from models.ais.preprocess import Diffusion, prepare
from models.calibration import calibrated
from models.card import Card, LabelCard
from models.engines import Engine
from models.errors import InvalidCard, MissingInput
from models.evidence import read_signs, weigh
from models.prediction import Finding, ModelIdentity, Prediction, Urgency
from models.volume import Volume

RESTRICTED_ADC = 620.0
"""ADC up to which a core is restricted by the consensus, 1e-6 mm2/s; measured whatever the method."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method says.

    Attributes:
        probability: of a core in the study, before calibration.
        slices: of a core in each slice, (slices,).
        parameters: of the method, for the record.
    """

    core: Core
    probability: float
    slices: NDArray[np.float64]
    parameters: dict[str, float | str]


class Method(Protocol):
    """A way to find the core."""

    def find(self, images: Diffusion) -> Answer:
        """Look at a study."""


def create(card: Card, decides: Engine | Path) -> "AISModel":
    """The model with its network, or with the numbers of the rule.

    Raises:
        InvalidCard: the file holds no such numbers, or the card lacks what a network needs.
    """
    if isinstance(decides, Path):
        return AISModel(card, Rule(read_numbers(decides)))
    if card.network_input is None or card.labels[0].threshold is None:
        raise InvalidCard(f"The card of {card.name} lacks preprocess or threshold, which its network needs.")
    return AISModel(card, Network(card, decides, card.labels[0].threshold))


@dataclass(frozen=True)
class Rule:
    """The consensus rule."""

    numbers: Numbers

    def find(self, images: Diffusion) -> Answer:
        """Seeds where ADC is low, the boundary on the DWI."""
        core = find_core(images, self.numbers)
        share = self.numbers.flagged if core.lesions_ml else self.numbers.unflagged
        return Answer(
            core,
            share,
            np.where(core.mask.any(axis=(1, 2)), share, self.numbers.unflagged),
            {
                "method": "adc620",
                "seed ADC 1e-6 mm2/s": self.numbers.seed_adc,
                "smallest lesion mL": self.numbers.smallest_ml,
            },
        )


@dataclass(frozen=True)
class Network:
    """The network, its voxels marked from a probability on."""

    card: Card
    engine: Engine
    threshold: float

    def find(self, images: Diffusion) -> Answer:
        """Look at every slice with its neighbours.

        Raises:
            EngineFailure: see `models.ais.network.probabilities`.
        """
        volume = images.volume
        p = probabilities(self.engine, self.card, volume, images.adc, images.brain)
        core = mark(p, images.adc, images.brain, volume, self.threshold)
        [signs] = read_signs(np.stack([1 - p, p], axis=1), float(np.median(volume.voxel_ml)))
        slices, study = weigh(signs, self.card.labels[0].evidence)
        return Answer(
            core,
            study,
            slices,
            {
                "method": "network",
                "engine": self.engine.name,
                "voxel probability": self.threshold,
                "smallest lesion mL": SMALLEST_ML,
            },
        )


@dataclass(frozen=True)
class AISModel:
    """Ischaemic core on diffusion-weighted MR."""

    card: Card
    method: Method

    def predict(self, inputs: Mapping[str, Volume]) -> Prediction:
        """Analyse a DWI with its ADC map (roles DWI, ADC) and, where there is one, a FLAIR.

        Raises:
            MissingInput, InvalidVolume, EngineFailure: see `models.registry.Model`.
        """
        missing = [role for role in ("DWI", "ADC") if role not in inputs]
        if missing:
            raise MissingInput(f"{self.card.name} needs an input of role {' and '.join(missing)}.")
        images = prepare(inputs["DWI"], inputs["ADC"])
        answer = self.method.find(images)
        core, label = answer.core, self.card.labels[0]
        probability = calibrated(answer.probability, label.calibration)
        finding = _finding(label, images, core, probability)
        measured = measure(images, core, RESTRICTED_ADC, inputs.get("FLAIR")) if finding else {}
        segmentation = np.where(core.mask, label.value, 0) if finding else np.zeros(core.mask.shape)
        return Prediction(
            model=ModelIdentity(self.card.name, self.card.version, self.card.weights.sha256),
            segmentation=segmentation.astype(np.uint8),
            findings=(finding,) if finding else (),
            probabilities={label.name: probability},
            slice_probabilities={label.name: answer.slices.astype(np.float32)},
            urgency=finding.urgency if finding else Urgency.STANDARD,
            # A card that a site made of an earlier version describes fewer.
            measurements={one.name: measured[one.name] for one in self.card.measures if one.name in measured},
            parameters=answer.parameters | {"ADC unit": images.adc_unit},
        )


def _finding(label: LabelCard, images: Diffusion, core: Core, probability: float) -> Finding | None:
    volume_ml = images.volume.measure_ml(core.mask)
    point = label.operating_point
    if not core.lesions_ml or probability < point.probability or volume_ml < point.volume_ml:
        return None
    return Finding(
        label=label.name,
        probability=probability,
        volume_ml=volume_ml,
        urgency=label.urgency.of(volume_ml),
        key_slice=int(core.mask.sum(axis=(1, 2)).argmax()),
    )
