"""From probabilities on the network's grid to voxels, volumes and findings on the acquired one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.card import Card, LabelCard
from models.ich.preprocess import Slices
from models.prediction import Finding, Urgency
from models.volume import Volume

SMALLEST_ML = 0.1
"""Components smaller than this are noise at 5 mm slices."""

BONE_HU, BONE_REACH_MM, CLEAR_SHARE = 200.0, 1.8, 0.25
"""Density of bone, how far it brightens its neighbours, and how much of a component must lie beyond that."""

TOP_ML = 0.2
"""A slice is as suspicious as the mean of its most suspicious voxels of this much volume."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What the probabilities say, on the acquired grid.

    Attributes:
        segmentation: uint8 (slice, row, column), label values.
        slice_probabilities: per label name, float32 (slices,).
        probabilities: per label name, of the study: its most suspicious slice.
    """

    segmentation: NDArray[np.uint8]
    slice_probabilities: dict[str, NDArray[np.float32]]
    probabilities: dict[str, float]


def read_probabilities(probabilities: NDArray[np.float32], slices: Slices, volume: Volume, card: Card) -> Reading:
    """Take the network's probabilities back to the image.

    Args:
        probabilities: (slabs, 1 + labels, size, size), background first, then labels in order of value.
    """
    labels = sorted(card.labels, key=lambda label: label.value)
    pixel_ml = card.preprocess.spacing_mm**2 * card.preprocess.slab_mm / 1000
    top = max(1, round(TOP_ML / pixel_ml))
    flat = probabilities[:, 1:].reshape(len(probabilities), len(labels), -1)
    slab_scores = np.partition(flat, -top, axis=2)[:, :, -top:].mean(axis=2)

    segmentation = np.zeros(volume.voxels.shape, np.uint8)
    for slab in np.flatnonzero((probabilities.argmax(axis=1) > 0).any(axis=(1, 2))):
        plane = _label_plane(probabilities[slab], slices)
        segmentation[slices.slab_of == slab] = plane
    _drop_specks(segmentation, volume)
    for index, label in enumerate(labels, start=1):
        if label.minimum_hu is not None:
            _drop_pale(segmentation, index, volume, label.minimum_hu)
    values = np.array([0, *(label.value for label in labels)], np.uint8)
    return Reading(
        segmentation=values[segmentation],
        slice_probabilities={
            label.name: slab_scores[slices.slab_of, i].astype(np.float32) for i, label in enumerate(labels)
        },
        probabilities={label.name: float(slab_scores[:, i].max()) for i, label in enumerate(labels)},
    )


def _label_plane(probabilities: NDArray[np.float32], slices: Slices) -> NDArray[np.uint8]:
    """The most probable class of each acquired pixel, (rows, columns); classes that win nowhere are not mapped back."""
    winners = np.unique(probabilities.argmax(axis=0))
    best = np.full(slices.shape, -1.0, np.float32)
    plane = np.zeros(slices.shape, np.uint8)
    for value in winners[winners > 0]:
        restored = slices.restore(probabilities[value])
        better = restored > best
        best[better], plane[better] = restored[better], value
    background = slices.restore(probabilities[0])
    plane[(background >= best) | (best <= 0)] = 0
    return plane


def _drop_specks(segmentation: NDArray[np.uint8], volume: Volume) -> None:
    components, count = ndimage.label(segmentation > 0, structure=np.ones((3, 3, 3)))
    if count == 0:
        return
    voxel_ml = np.broadcast_to(volume.voxel_ml[:, None, None], components.shape)
    inside = components > 0
    sizes = np.bincount(components[inside], weights=voxel_ml[inside], minlength=count + 1)
    segmentation[inside & (sizes < SMALLEST_ML)[components]] = 0


def _drop_pale(segmentation: NDArray[np.uint8], index: int, volume: Volume, minimum_hu: float) -> None:
    """Take away components of one class that are not dense where bone does not brighten them."""
    components, count = ndimage.label(segmentation == index, structure=np.ones((3, 3, 3)))
    if count == 0:
        return
    reach = [2 * max(1, round(BONE_REACH_MM / spacing)) + 1 for spacing in volume.spacing_mm]
    near_bone = ndimage.maximum_filter((volume.voxels > BONE_HU).astype(np.uint8), (1, *reach)) > 0
    for number, box in enumerate(ndimage.find_objects(components), start=1):
        component = components[box] == number
        clear = component & ~near_bone[box]
        enough = clear.sum() >= CLEAR_SHARE * component.sum()
        if not enough or np.median(volume.voxels[box][clear]) < minimum_hu:
            segmentation[box][component] = 0


def find(reading: Reading, volume: Volume, card: Card) -> tuple[Finding, ...]:
    """Labels that reach their operating point, the most urgent first, then the largest."""
    findings = []
    for label in card.labels:
        mask = reading.segmentation == label.value
        volume_ml = volume.measure_ml(mask)
        probability = reading.probabilities[label.name]
        point = label.operating_point
        if probability < point.probability or volume_ml < point.volume_ml:
            continue
        area = mask.sum(axis=(1, 2))
        key_slice = int(area.argmax() if area.any() else reading.slice_probabilities[label.name].argmax())
        findings.append(Finding(label.name, probability, volume_ml, urgency_of(label, volume_ml), key_slice))
    return tuple(sorted(findings, key=lambda finding: (finding.urgency, -finding.volume_ml)))


def urgency_of(label: LabelCard, volume_ml: float) -> Urgency:
    """How soon somebody should look, by the card's volumes."""
    if volume_ml >= label.urgency.immediate_ml:
        return Urgency.IMMEDIATE
    return Urgency.URGENT if volume_ml >= label.urgency.urgent_ml else Urgency.STANDARD
