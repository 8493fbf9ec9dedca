"""The AIS model: DWI and ADC in, the ischaemic core out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.ais.adc620 import Core, Numbers, find_core, read_numbers
from models.ais.measure import measure
from models.ais.preprocess import Diffusion, prepare
from models.calibration import calibrated
from models.card import Card, LabelCard
from models.engines import Engine
from models.errors import InvalidCard, MissingInput
from models.prediction import Finding, ModelIdentity, Prediction, Urgency
from models.volume import Volume


def create(card: Card, decides: Engine | Path) -> "AISModel":
    """The model with the numbers of its rule.

    Raises:
        InvalidCard: the card names something else than a rule's numbers.
    """
    if not isinstance(decides, Path):
        raise InvalidCard(f"The card of {card.name} names a network; this model decides by the numbers of adc620.")
    return AISModel(card, read_numbers(decides))


@dataclass(frozen=True)
class AISModel:
    """Ischaemic core by the consensus rule adc620."""

    card: Card
    rule: Numbers

    def predict(self, inputs: Mapping[str, Volume]) -> Prediction:
        """Analyse a DWI with its ADC map (roles DWI, ADC) and, where there is one, a FLAIR.

        Raises:
            MissingInput, InvalidVolume: see `models.registry.Model`.
        """
        missing = [role for role in ("DWI", "ADC") if role not in inputs]
        if missing:
            raise MissingInput(f"{self.card.name} needs an input of role {' and '.join(missing)}.")
        images = prepare(inputs["DWI"], inputs["ADC"])
        core = find_core(images, self.rule)
        label = self.card.labels[0]
        share = self.rule.flagged if core.lesions_ml else self.rule.unflagged
        probability = calibrated(share, label.calibration)
        finding = _finding(label, images, core, probability)
        segmentation = np.where(core.mask, label.value, 0) if finding else np.zeros(core.mask.shape)
        return Prediction(
            model=ModelIdentity(self.card.name, self.card.version, self.card.weights.sha256),
            segmentation=segmentation.astype(np.uint8),
            findings=(finding,) if finding else (),
            probabilities={label.name: probability},
            slice_probabilities={
                label.name: np.where(core.mask.any(axis=(1, 2)), probability, self.rule.unflagged).astype(np.float32)
            },
            urgency=finding.urgency if finding else Urgency.STANDARD,
            measurements=measure(images, core, self.rule.seed_adc, inputs.get("FLAIR")) if finding else {},
            parameters={
                "method": "adc620",
                "seed ADC 1e-6 mm2/s": self.rule.seed_adc,
                "ADC unit": images.adc_unit,
                "smallest lesion mL": self.rule.smallest_ml,
            },
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
