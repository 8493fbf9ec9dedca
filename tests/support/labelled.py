"""Labelled studies whose image says what the model will answer, and that model: figures are then known beforehand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from models.calibration import ModelCalibration, calibrate_card, calibrated
from models.card import Card
from models.errors import InvalidVolume
from models.prediction import Finding, ModelIdentity, Prediction, Urgency
from models.volume import Volume

SHAPE = (6, 24, 24)
SPACING_MM = (2.0, 2.0, 5.0)
"""Columns, rows, slices. A voxel has 0.02 mL."""

VOXEL_ML = 0.02
LABELS = ("blot", "stain")
_BROKEN = 999.0


@cache
def small_card() -> Card:
    """Two labels: blot from 0.5 and 0.1 mL, stain from 0.5 and any volume."""
    code = {"scheme": "99TEST", "meaning": "Test"}
    common = {"colour": [1, 2, 3], "urgency": {"immediate_ml": 5}}
    return Card.model_validate(
        {
            "name": "small",
            "version": "1.0.0",
            "task": "Test",
            "intended_use": "Test",
            "priority": 1,
            "inputs": [{"role": "NCCT", "modality": "CT"}],
            "labels": [
                {
                    "value": value,
                    "name": name,
                    "meaning": f"A {name}",
                    "code": {"value": name, **code},
                    "operating_point": {"probability": 0.5, "volume_ml": volume_ml},
                    **common,
                }
                for value, name, volume_ml in ((1, "blot", 0.1), (2, "stain", 0.0))
            ],
            "preprocess": {"spacing_mm": 1, "size": 8, "slab_mm": 5, "window": [0, 1], "centre": 0, "scale": 1},
            "tolerance": 0.1,
            "weights": {"file": "none.onnx", "sha256": "ab" * 32},
            "limits": [],
            "measured": [],
        }
    )


@dataclass(frozen=True)
class SmallModel:
    """Reads its own answer from the image: voxels 100 and 200 are blot and stain; the first row of each slice holds the
    labels' probabilities of that slice in per mille."""

    card: Card = field(default_factory=small_card)

    def predict(self, inputs: Mapping[str, Volume]) -> Prediction:
        volume = inputs["NCCT"]
        voxels = volume.voxels
        if voxels[0, 0, 0] == _BROKEN:
            raise InvalidVolume("The image is broken on purpose.")
        slices = {label.name: voxels[:, 0, i] / 1000 for i, label in enumerate(self.card.labels)}
        probabilities, findings, segmentation = {}, [], np.zeros(voxels.shape, np.uint8)
        for label in self.card.labels:
            mask = voxels == 100 * label.value
            mask[:, 0] = False
            probability = calibrated(float(slices[label.name].max()), label.calibration)
            probabilities[label.name] = probability
            volume_ml, point = volume.measure_ml(mask), label.operating_point
            if probability >= point.probability and volume_ml >= point.volume_ml:
                abc2_ml = volume_ml * 1.5 if label.name == "blot" else None
                findings.append(Finding(label.name, probability, volume_ml, Urgency.URGENT, 0, abc2_ml=abc2_ml))
                segmentation[mask] = label.value
        identity = ModelIdentity(self.card.name, self.card.version, self.card.weights.sha256)
        return Prediction(identity, segmentation, tuple(findings), probabilities, slices)


def load_small(
    name: str,
    threads: int,
    calibration: ModelCalibration | None,
    method: str | None = None,
    version: str | None = None,
) -> SmallModel:
    card = small_card() if version is None else small_card().model_copy(update={"version": version})
    return SmallModel(card if calibration is None else calibrate_card(card, calibration))


def box(value: int, voxels: int, *, start: int = 0) -> NDArray[np.uint8]:
    """A label map with so many voxels of a value, one after another from the second row of slice 2 on."""
    labels = np.zeros(SHAPE, np.uint8)
    plane = labels[2, 1:].reshape(-1)
    plane[start : start + voxels] = value
    labels[2, 1:] = plane.reshape(SHAPE[1] - 1, SHAPE[2])
    return labels


def write_study(
    folder: Path,
    name: str,
    *,
    answer: NDArray[np.uint8],
    probabilities: Sequence[float],
    truth: NDArray[np.uint8] | None = None,
    broken: bool = False,
) -> None:
    """`images/NAME.nii.gz`, and `truth/NAME.nii.gz` if there is one. The probabilities are those of slice 2."""
    image = answer.astype(np.float32) * 100
    image[:, 0] = 0
    image[2, 0, : len(probabilities)] = np.round(np.array(probabilities) * 1000)
    if broken:
        image[0, 0, 0] = _BROKEN
    write_nifti(folder / "images" / f"{name}.nii.gz", image)
    if truth is not None:
        write_nifti(folder / "truth" / f"{name}.nii.gz", truth)
    (folder / "truth").mkdir(exist_ok=True)


def write_nifti(path: Path, array: NDArray[np.generic], affine: NDArray[np.float64] | None = None) -> None:
    """An array with axes (slice, row, column), in LPS unless an affine says otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y, z = SPACING_MM
    nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), np.diag([-x, -y, z, 1.0]) if affine is None else affine), path)
