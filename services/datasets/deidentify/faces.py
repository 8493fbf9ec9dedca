"""Faces out of head images, brain untouched.

The brain is enclosed by planes that face forward and down, each a safety margin away from its furthest point in that
direction: what lies beyond any of them (eyes, nose, mouth, chin, and forehead where it stands forward)
is overwritten. A plane that only touches the enlarged brain cannot cut it. The idea of a shearing plane is Schimke
and Hale's (Quickshear, 2011).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from models.functional_groups import in_frame, is_enhanced
from models.volume import Volume
from services.datasets.deidentify.brain import STEP_MM, Coarse, find_brain
from services.datasets.deidentify.hold import Hold

ANGLES_DEG: Final = tuple(range(25, 66, 5))
MARGIN_MM: Final = {"CT": 5.0, "MR": 7.0}
_BELOW_MM: Final = 30.0
_AIR_HU: Final = -1000.0


@dataclass(frozen=True)
class Shear:
    """The planes of one head in the patient's frame.

    Attributes:
        limits_mm: for each angle of ANGLES_DEG, counted from straight ahead downwards, how far along that direction
            the image may stay.
    """

    limits_mm: tuple[float, ...]

    def beyond(self, places_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which places, (..., 3) LPS, lie beyond a plane."""
        found = np.zeros(places_mm.shape[:-1], np.bool_)
        for angle, limit in zip(ANGLES_DEG, self.limits_mm, strict=True):
            found |= places_mm @ _direction(angle) > limit
        return found


def find_shear(volume: Volume, modality: str) -> Shear:
    """The planes for a series.

    Raises:
        Hold: no brain was found, or the planes would leave the face.
    """
    coarse = find_brain(volume, modality)
    brain = coarse.places_mm(coarse.brain)
    margin = MARGIN_MM.get(modality, max(MARGIN_MM.values())) + STEP_MM / 2
    shear = Shear(tuple(float((brain @ _direction(angle)).max()) + margin for angle in ANGLES_DEG))
    _check(coarse, brain, shear)
    return shear


def _direction(angle_deg: float) -> NDArray[np.float64]:
    """Forward (anterior, -y) and down (-z)."""
    angle = np.deg2rad(angle_deg)
    return np.array([0.0, -np.cos(angle), -np.sin(angle)])


def _check(coarse: Coarse, brain: NDArray[np.float64], shear: Shear) -> None:
    """Whatever stands as far forward as the brain does, well below its front, is face and must be gone."""
    front = brain[brain[:, 1].argmin()]
    head = coarse.places_mm(coarse.head)
    face = head[(head[:, 1] < front[1] + STEP_MM) & (head[:, 2] < front[2] - _BELOW_MM - 20.0)]
    if len(face) and not shear.beyond(face).all():
        raise Hold("The face in it cannot be told from the brain.")


def remove_face(dataset: Dataset, pixels: NDArray[Any], shear: Shear) -> int:
    """Overwrite the face of an image, in place.

    Args:
        pixels: stored values, (frame, row, column).

    Returns:
        How many pixels were overwritten.

    Raises:
        Hold: an image that does not say where it lies.
    """
    value = _background(dataset, pixels)
    changed = 0
    for number, frame in enumerate(pixels):
        face = shear.beyond(_places_mm(dataset, number, frame.shape))
        frame[face] = value
        changed += int(face.sum())
    return changed


def _background(dataset: Dataset, pixels: NDArray[Any]) -> int:
    """Air in CT, darkness elsewhere."""
    if dataset.get("Modality") != "CT":
        return int(pixels.min())
    slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
    stored = round((_AIR_HU - intercept) / slope)
    bits: int = int(dataset.BitsStored)
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.PixelRepresentation else (0, 2**bits - 1)
    return int(np.clip(stored, lowest, highest))


def _places_mm(dataset: Dataset, number: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """LPS of every pixel of a frame, (row, column, 3)."""
    try:
        position, orientation, spacing = geometry_of(dataset, number)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Hold("It shows a head and does not say where it lies: its face cannot be found.") from error
    rows = np.arange(shape[0])[:, None, None] * spacing[0] * orientation[3:]
    columns = np.arange(shape[1])[None, :, None] * spacing[1] * orientation[:3]
    return np.asarray(position + rows + columns)


def geometry_of(dataset: Dataset, number: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Position (3,), orientation (6,) and spacing (2,) of a frame, classic or enhanced."""

    def group(sequence: str) -> Dataset:
        return in_frame(dataset, number + 1, sequence) if is_enhanced(dataset) else dataset

    found = (
        group("PlanePositionSequence").ImagePositionPatient,
        group("PlaneOrientationSequence").ImageOrientationPatient,
        group("PixelMeasuresSequence").PixelSpacing,
    )
    position, orientation, spacing = (np.array(values, np.float64) for values in found)
    if position.shape != (3,) or orientation.shape != (6,) or spacing.shape != (2,):
        raise ValueError
    return position, orientation, spacing
