"""A model that its card alone describes: images to channels, a network in windows, labels with findings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit, softmax

from models.calibration import calibrated
from models.card import Card, LabelCard
from models.engines import Engine
from models.errors import EngineFailure, InvalidCard, MissingInput
from models.prediction import Finding, ModelIdentity, Prediction, Urgency
from models.resample import resample
from models.sliding.frame import Frame, frame_of
from models.sliding.settings import Intensity, Sliding
from models.sliding.windows import run_windows
from models.volume import Volume

INPUT, OUTPUT = "image", "logits"
"""What the network's tensors are called in its ONNX file."""
Array = NDArray[np.float32]


def create(card: Card, decides: Engine | Path) -> "SlidingModel":
    """The model of a card.

    Raises:
        InvalidCard: the card names no network, or does not say how it runs.
    """
    if isinstance(decides, Path) or card.sliding is None:
        raise InvalidCard(f"The card of {card.name} lacks a network (.onnx) or sliding, which says how it runs.")
    return SlidingModel(card, decides, card.sliding)


@dataclass(frozen=True)
class SlidingModel:
    """Labels by a network that runs in windows."""

    card: Card
    engine: Engine
    settings: Sliding

    def predict(self, inputs: Mapping[str, Volume]) -> Prediction:
        """Analyse images by the roles of the card; the first gives the grid.

        Raises:
            MissingInput, EngineFailure: see `models.registry.Model`.
        """
        missing = [entry.role for entry in self.card.inputs if entry.role not in inputs]
        if missing:
            raise MissingInput(f"{self.card.name} needs an input of role {' and '.join(missing)}.")
        reference = inputs[self.card.reference.role]
        frame = frame_of(reference, self.settings)
        likely = self._probabilities(self._images(inputs, frame), frame)
        segmentation = self._segment(likely, reference)
        findings = sorted(self._findings(likely, segmentation, reference), key=lambda found: found.urgency)
        shown = [self.card.label(finding.label).value for finding in findings]
        return Prediction(
            model=ModelIdentity(self.card.name, self.card.version, self.card.weights.sha256),
            segmentation=np.where(np.isin(segmentation, shown), segmentation, 0).astype(np.uint8),
            findings=tuple(findings),
            probabilities={
                label.name: study_probability(likely[k], reference, label) for k, label in enumerate(self.card.labels)
            },
            slice_probabilities={
                label.name: likely[k].max(axis=(1, 2)).astype(np.float32) for k, label in enumerate(self.card.labels)
            },
            urgency=min((finding.urgency for finding in findings), default=Urgency.STANDARD),
            parameters={
                "engine": self.engine.name,
                "overlap": self.settings.overlap,
                "mirrored": "no" if not self.settings.mirror else "yes",
                **{f"{label.name} probability": label.operating_point.probability for label in self.card.labels},
                **{f"{label.name} volume mL": label.operating_point.volume_ml for label in self.card.labels},
            },
        )

    def _images(self, inputs: Mapping[str, Volume], frame: Frame) -> list[Array]:
        """The inputs on the network's grid, in their own units."""
        reference = inputs[self.card.reference.role]
        cubic = self.settings.interpolation == "cubic"
        return [
            frame.forth(
                resample(inputs[entry.role], reference, outside=float(inputs[entry.role].voxels.min())), cubic=cubic
            )
            for entry in self.card.inputs
        ]

    def _probabilities(self, images: list[Array], frame: Frame) -> Array:
        """(labels, slice, row, column) as acquired; zero where nothing was looked at."""
        channels = [normalise(image, rule) for image, rule in zip(images, self.settings.intensity, strict=True)]
        logits, covered = run_windows(
            np.stack(channels),
            self._run,
            window=self.settings.window,
            overlap=self.settings.overlap,
            batch=self.card.batch,
            occupied=None if self.settings.background is None else images[0] > self.settings.background,
            mirror=self.settings.mirror,
        )
        labels = len(self.card.labels)
        if not len(logits):
            return np.zeros((labels, *frame.shape), np.float32)
        if len(logits) != labels + (self.settings.output == "softmax"):
            raise EngineFailure(
                f"The network of {self.card.name} answered with {len(logits)} channels, not its labels."
            )
        if not np.isfinite(logits).all():
            raise EngineFailure("The network answered with values that are no numbers.")
        likely = softmax(logits, axis=0)[1:] if self.settings.output == "softmax" else expit(logits)
        return np.stack([frame.restore(np.asarray(values * covered, np.float32)) for values in likely])

    def _run(self, windows: Array) -> Array:
        flat = len(self.settings.patch) == 2
        answer = self.engine.run({INPUT: np.ascontiguousarray(windows[:, :, 0] if flat else windows)})[OUTPUT]
        if flat:
            answer = answer[:, :, None]
        if answer.shape[2:] != windows.shape[2:]:
            raise EngineFailure(f"The network of {self.card.name} answered with {answer.shape}, not on its window.")
        return answer

    def _segment(self, likely: Array, volume: Volume) -> NDArray[np.uint8]:
        """The most probable label of each voxel, or each label above its threshold; small pieces left out."""
        segmentation = np.zeros(likely.shape[1:], np.uint8)
        if self.settings.output == "softmax":
            best, background = likely.argmax(axis=0), 1 - likely.sum(axis=0)
            marked = likely.max(axis=0) > background
            values = np.array([label.value for label in self.card.labels], np.uint8)
            segmentation[marked] = values[best[marked]]
        else:
            for values_of, label in zip(likely, self.card.labels, strict=True):
                segmentation[values_of > (0.5 if label.threshold is None else label.threshold)] = label.value
        if self.settings.smallest_ml:
            for label in self.card.labels:
                _drop_small(segmentation, label.value, volume, self.settings.smallest_ml)
        return segmentation

    def _findings(self, likely: Array, segmentation: NDArray[np.uint8], volume: Volume) -> list[Finding]:
        found = []
        for values, label in zip(likely, self.card.labels, strict=True):
            mask = segmentation == label.value
            volume_ml, point = volume.measure_ml(mask), label.operating_point
            probability = study_probability(values, volume, label)
            if not mask.any() or probability < point.probability or volume_ml < point.volume_ml:
                continue
            key_slice = int(mask.sum(axis=(1, 2)).argmax())
            found.append(Finding(label.name, probability, volume_ml, label.urgency.of(volume_ml), key_slice))
        return found


def study_probability(likely: Array, volume: Volume, label: LabelCard) -> float:
    """Mean over the most probable voxels that make the label's smallest volume (one voxel at least), calibrated."""
    voxel_ml = float(volume.voxel_ml.mean())
    count = int(np.clip(round(label.operating_point.volume_ml / voxel_ml), 1, likely.size))
    top = np.partition(likely.ravel(), likely.size - count)[likely.size - count :]
    return calibrated(float(top.mean()), label.calibration)


def normalise(image: Array, rule: Intensity) -> Array:
    """An image's values as the network wants them."""
    if rule.rule == "none":
        return image
    if rule.rule == "window":
        return np.asarray((np.clip(image, rule.low, rule.high) - rule.centre) / rule.scale, np.float32)
    where = image != 0 if rule.nonzero else np.ones(image.shape, np.bool_)
    if not where.any():
        return np.zeros_like(image)
    values = image[where].astype(np.float64)
    scaled = (image - values.mean()) / max(float(values.std()), 1e-8)
    return np.where(where, scaled, 0).astype(np.float32)


def _drop_small(segmentation: NDArray[np.uint8], value: int, volume: Volume, smallest_ml: float) -> None:
    parts, count = ndimage.label(segmentation == value, np.ones((3, 3, 3)))
    if not count:
        return
    voxel_ml = np.broadcast_to(volume.voxel_ml[:, None, None], parts.shape)
    sizes = np.bincount(parts.ravel(), weights=voxel_ml.ravel())
    segmentation[(parts > 0) & (sizes < smallest_ml)[parts]] = 0
