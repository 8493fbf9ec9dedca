"""The tumour model: three or four sequences in, the regions of a tumour out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.calibration import calibrated
from models.card import Card, LabelCard
from models.engines import Engine
from models.errors import InvalidCard
from models.evidence import read_signs, weigh
from models.midline import midline_shift_mm
from models.prediction import Finding, ModelIdentity, Prediction, Urgency
from models.resample import resample
from models.tumour.mark import ENHANCING, NON_ENHANCING, OEDEMA, SMALLEST_ML, UNDIVIDED, Marks, Thresholds, mark
from models.tumour.measure import measure
from models.tumour.network import Maps, read
from models.tumour.preprocess import Sequences, prepare
from models.volume import Volume

DIVIDED = (NON_ENHANCING, OEDEMA, ENHANCING)
NOT_DIVIDED = (OEDEMA, UNDIVIDED)
"""Labels in the order of `Maps.of_labels`, with a T1c and without."""


def create(card: Card, decides: Engine | Path) -> "TumourModel":
    """The model with its network.

    Raises:
        InvalidCard: it is given no network, or the card lacks a threshold.
    """
    if isinstance(decides, Path):
        raise InvalidCard(f"{card.name} decides by a network (.onnx), and {decides.name} is none. Name another file.")
    return TumourModel(card, decides, thresholds_of(card))


def thresholds_of(card: Card) -> Thresholds:
    """Those of the regions: the label that reaches farthest out in each carries its region's.

    Raises:
        InvalidCard: a label lacks its threshold.
    """
    found = {label.value: label.threshold for label in card.labels}
    whole, body, enhancing = (found.get(value) for value in (OEDEMA, NON_ENHANCING, ENHANCING))
    if whole is None or body is None or enhancing is None:
        raise InvalidCard(f"The card of {card.name} lacks the threshold of a label. Install {card.name} again.")
    return Thresholds(whole, body, enhancing)


@dataclass(frozen=True)
class TumourModel:
    """Regions of brain tumours on T1, T1c, T2 and FLAIR."""

    card: Card
    engine: Engine
    thresholds: Thresholds

    def predict(self, inputs: Mapping[str, Volume]) -> Prediction:
        """Analyse the sequences given by role (T1c, FLAIR, T2, T1), of which one may be missing.

        Raises:
            MissingInput, InvalidVolume, EngineFailure: see `models.registry.Model`.
        """
        sequences = prepare(inputs)
        contrast = "T1c" not in sequences.missing
        maps = read(self.engine, self.card, sequences.images, sequences.head)
        marks = mark(_regions_on(maps, sequences), sequences.volume, self.thresholds, contrast=contrast)
        by_value = {label.value: label for label in self.card.labels}
        labels = [by_value[value] for value in (DIVIDED if contrast else NOT_DIVIDED)]
        studies, slices = {}, {}
        for label, signs in zip(labels, read_signs(maps.of_labels(contrast=contrast), maps.voxel_ml), strict=True):
            each, study = weigh(signs, label.evidence)
            studies[label.name] = calibrated(study, label.calibration)
            slices[label.name] = _along(each, maps, sequences)
        findings = _findings(labels, marks, sequences.volume, studies)
        return Prediction(
            model=ModelIdentity(self.card.name, self.card.version, self.card.weights.sha256),
            segmentation=marks.labels if findings else np.zeros_like(marks.labels),
            findings=findings,
            probabilities=studies,
            slice_probabilities=slices,
            urgency=min((finding.urgency for finding in findings), default=Urgency.STANDARD),
            measurements=self._measure(maps, marks, sequences) if findings else {},
            parameters=self._parameters(sequences, marks if findings else None),
        )

    def _measure(self, maps: Maps, marks: Marks, sequences: Sequences) -> dict[str, float]:
        """What is said of the tumour, and by how much the midline is shifted, where the slices show it."""
        shift = midline_shift_mm(maps.inside, maps.left, maps.ventricles, self.card.preprocess.spacing_mm)
        found = measure(marks, sequences.volume, contrast="T1c" not in sequences.missing)
        return found | ({} if shift is None else {"midline shift": shift})

    def _parameters(self, sequences: Sequences, marks: Marks | None) -> dict[str, float | str]:
        """What shaped the answer, and every lesion: for the record."""
        lesions = () if marks is None else marks.lesions_ml
        return {
            "engine": self.engine.name,
            "grid": sequences.reference,
            "missing": ", ".join(sequences.missing) or "none",
            "smallest lesion mL": SMALLEST_ML,
            **({"lesions mL": ", ".join(f"{ml:.1f}" for ml in lesions)} if lesions else {}),
            **{f"{role} moved mm": round(moved, 1) for role, moved in sequences.moved_mm.items()},
        }


def _regions_on(maps: Maps, sequences: Sequences) -> NDArray[np.float32]:
    """Probabilities of the regions on the answer's grid."""
    if sequences.as_acquired:
        return maps.regions
    return np.stack([resample(replace(sequences.grid, voxels=p), sequences.volume) for p in maps.regions])


def _along(values: NDArray[np.float64], maps: Maps, sequences: Sequences) -> NDArray[np.float32]:
    """Values of the slices looked at, on the answer's slices; of other planes nothing is known slice by slice."""
    if not sequences.as_acquired:
        return np.full(len(sequences.volume.voxels), values.max(), np.float32)
    return np.interp(np.arange(len(sequences.volume.voxels)), maps.looked, values).astype(np.float32)


def _findings(
    labels: list[LabelCard], marks: Marks, volume: Volume, probabilities: Mapping[str, float]
) -> tuple[Finding, ...]:
    found = []
    for label in labels:
        mask = marks.labels == label.value
        volume_ml, point = volume.measure_ml(mask), label.operating_point
        if not mask.any() or probabilities[label.name] < point.probability or volume_ml < point.volume_ml:
            continue
        found.append(
            Finding(
                label=label.name,
                probability=probabilities[label.name],
                volume_ml=volume_ml,
                urgency=label.urgency.of(volume_ml),
                key_slice=int(mask.sum(axis=(1, 2)).argmax()),
            )
        )
    return tuple(sorted(found, key=lambda finding: (finding.urgency, -finding.volume_ml)))
