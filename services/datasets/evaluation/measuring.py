"""One study: what the model answers, beside the truth."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from models.card import Card
from models.errors import InvalidVolume, ModelError
from models.prediction import Prediction
from models.registry import Model
from models.volume import Volume
from services.datasets.evaluation.brats import LesionWise, lesion_wise
from services.datasets.evaluation.cases import ANY, READS, SCANNER, Study, read_images
from services.datasets.evaluation.overlap import Overlap, measure_overlap
from services.datasets.evaluation.truth import read_truth


class Outcome(StrEnum):
    """How a study ended; only analysed ones enter the figures, the others are listed and counted."""

    ANALYSED = "analysed"
    FAILED = "failed"
    TRUTH_REFUSED = "truth refused"


@dataclass(frozen=True)
class Measured:
    """One label in one study.

    Attributes:
        truth: whether experts saw it; None: not read.
        probability: the model's, of the study; of ANY the largest of its labels'.
        found: the model raised it: it is among the findings.
        truth_ml: volume experts outlined; None without a label map.
        answer_ml: volume of the finding, 0 where there is none; None without a label map.
        abc2_ml: the finding's volume by ABC/2; None where the model gives none.
        overlap: of the voxels; None where truth or label map lacks the label.
    """

    truth: bool | None
    probability: float
    found: bool
    truth_ml: float | None = None
    answer_ml: float | None = None
    abc2_ml: float | None = None
    overlap: Overlap | None = None


@dataclass(frozen=True)
class SliceReads:
    """Per slice of one study: whether truth has the label in it, (slices,), and the model's probability, (slices,)."""

    truth: NDArray[np.bool_]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """What a label would be raised for if it had no operating point: its probability and volume."""

    probability: float
    volume_ml: float


@dataclass(frozen=True)
class Case:
    """One study after its analysis.

    Attributes:
        reason: why it is not among the analysed; empty if it is.
        labels: by name, ANY included; empty unless analysed.
        slices: by name, ANY included; empty without a label map.
        regions: of the card, by name, by the rules of BraTS; empty without a label map.
        candidates: by name, when asked for.
        slice_count: slices of the first input; 0 if it could not be read.
        step_mm: median distance of its slices; None if it could not be read.
        seconds: the analysis took, without reading files.
    """

    study: str
    attributes: Mapping[str, str]
    outcome: Outcome
    reason: str = ""
    labels: Mapping[str, Measured] = field(default_factory=dict)
    slices: Mapping[str, SliceReads] = field(default_factory=dict)
    regions: Mapping[str, LesionWise] = field(default_factory=dict)
    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    slice_count: int = 0
    step_mm: float | None = None
    seconds: float | None = None


def measure_study(study: Study, model: Model, *, unrestricted: Model | None = None) -> Case:
    """Analyse one study and hold the answer against its truth; what goes wrong becomes the case's outcome.

    Args:
        unrestricted: the same model without operating points, to learn of candidates below them.
    """
    card = model.card
    try:
        images = read_images(study, card)
        reference = card.reference_of(images).role
        volume = images[reference]
    except ModelError as error:
        return Case(study.name, study.attributes, Outcome.FAILED, str(error))
    seen = Case(
        study.name,
        _attributes(study, study.images[reference]),
        Outcome.FAILED,
        slice_count=len(volume.voxels),
        step_mm=float(np.median(volume.slab_mm)) if len(volume.voxels) > 1 else None,
    )
    try:
        truth = None if study.truth is None else read_truth(study.truth, volume, card)
        reads = _reads(study, truth, card)
    except InvalidVolume as error:
        return replace(seen, outcome=Outcome.TRUTH_REFUSED, reason=str(error))
    try:
        started = time.monotonic()
        prediction = model.predict(images)
        seconds = time.monotonic() - started
        candidates = {} if unrestricted is None else _candidates(unrestricted.predict(images))
    except ModelError as error:
        return replace(seen, reason=str(error))
    return replace(
        seen,
        outcome=Outcome.ANALYSED,
        labels=_measured(prediction, truth, reads, volume, card),
        slices={} if truth is None else _slices(prediction, truth, card),
        regions={}
        if truth is None
        else {
            name: lesion_wise(np.isin(truth, values), np.isin(prediction.segmentation, values), volume)
            for name, values in card.regions.items()
        },
        candidates=candidates,
        seconds=seconds,
    )


def _attributes(study: Study, image: Path) -> Mapping[str, str]:
    """The study's own; a scanner nobody named is read from its DICOM."""
    if SCANNER in study.attributes or not image.is_dir():
        return study.attributes
    for path in sorted(p for p in image.rglob("*") if p.is_file()):
        try:
            header = pydicom.dcmread(path, specific_tags=["Manufacturer", "ManufacturerModelName"])
            words = [str(header.get(keyword) or "").strip() for keyword in ("Manufacturer", "ManufacturerModelName")]
        except (InvalidDicomError, OSError, ValueError):
            continue
        name = " ".join(word for word in words if word)
        return {**study.attributes, SCANNER: name} if name else study.attributes
    return study.attributes


def _reads(study: Study, truth: NDArray[np.uint8] | None, card: Card) -> dict[str, bool | None]:
    names = [label.name for label in card.labels]
    given = dict(study.reads)
    if truth is None:
        if ANY not in given:
            known = [given[name] for name in names if name in given]
            if any(known) or len(known) == len(names):
                given[ANY] = any(known)
        return {name: given.get(name) for name in (ANY, *names)}
    present = {label.name: bool((truth == label.value).any()) for label in card.labels}
    present = {ANY: any(present.values()), **present}
    against = [name for name, value in given.items() if present[name] != value]
    if against:
        raise InvalidVolume(
            f"{study.truth} and {READS} disagree on {', '.join(against)} of {study.name}. Correct one of them."
        )
    return dict(present)


def _measured(
    prediction: Prediction,
    truth: NDArray[np.uint8] | None,
    reads: Mapping[str, bool | None],
    volume: Volume,
    card: Card,
) -> dict[str, Measured]:
    found = {finding.label: finding for finding in prediction.findings}
    probability = {label.name: prediction.probabilities.get(label.name, 0.0) for label in card.labels}
    measured = {}
    for name in (ANY, *probability):
        findings = list(found.values()) if name == ANY else [found[name]] if name in found else []
        detected = Measured(
            truth=reads[name],
            probability=max(probability.values()) if name == ANY else probability[name],
            found=bool(findings),
            abc2_ml=None if name == ANY or not findings else findings[0].abc2_ml,
        )
        if truth is None:
            measured[name] = detected
            continue
        value = None if name == ANY else card.label(name).value
        mask = _mask(truth, value)
        measured[name] = replace(
            detected,
            truth_ml=volume.measure_ml(mask),
            answer_ml=float(sum(finding.volume_ml for finding in findings)),
            overlap=measure_overlap(mask, _mask(prediction.segmentation, value), volume) if mask.any() else None,
        )
    return measured


def _mask(labels: NDArray[np.uint8], value: int | None) -> NDArray[np.bool_]:
    """Voxels of a value; None: of any."""
    mask: NDArray[np.bool_] = labels > 0 if value is None else labels == value
    return mask


def _in_slices(labels: NDArray[np.uint8], value: int | None) -> NDArray[np.bool_]:
    return np.asarray(_mask(labels, value).any(axis=(1, 2)), bool)


def _slices(prediction: Prediction, truth: NDArray[np.uint8], card: Card) -> dict[str, SliceReads]:
    scores = {
        label.name: np.asarray(prediction.slice_probabilities[label.name], float)
        for label in card.labels
        if label.name in prediction.slice_probabilities
    }
    reads = {name: SliceReads(_in_slices(truth, card.label(name).value), values) for name, values in scores.items()}
    if len(scores) == len(card.labels):
        reads[ANY] = SliceReads(_in_slices(truth, None), np.max(list(scores.values()), axis=0))
    return reads


def _candidates(prediction: Prediction) -> dict[str, Candidate]:
    volume_ml = {finding.label: finding.volume_ml for finding in prediction.findings}
    return {name: Candidate(p, volume_ml.get(name, 0.0)) for name, p in prediction.probabilities.items()}
