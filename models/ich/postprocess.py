"""From probabilities on the network's grid to voxels, volumes and findings on the acquired one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.abc2 import abc_over_2
from models.calibration import calibrated
from models.card import Card
from models.evidence import read_signs, weigh
from models.ich.maps import Maps, marked, ordered
from models.ich.preprocess import Slices
from models.prediction import Finding
from models.space import extent
from models.volume import Volume

SMALLEST_ML = 0.1
"""Components smaller than this are noise at 5 mm slices."""

BONE_HU, BONE_REACH_MM, CLEAR_SHARE = 200.0, 1.8, 0.25
"""Density of bone, which no outline holds; how far it brightens its neighbours, and how much of a component must lie
beyond that."""

ELLIPSOIDS = ("IPH",)
SURE, HINTED = 0.8, 0.2
"""A volume's range: voxels at least this probable among those marked, and those marked or at least that probable."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What the maps say, on the acquired grid.

    Attributes:
        segmentation: uint8 (slice, row, column), label values.
        slice_probabilities: per label name, float32 (slices,).
        probabilities: per label name, of the study, as calibrated.
        ranges: per label name, the volume's bounds relative to the volume.
    """

    segmentation: NDArray[np.uint8]
    slice_probabilities: dict[str, NDArray[np.float32]]
    probabilities: dict[str, float]
    ranges: dict[str, tuple[float, float]]


def read(maps: Maps, slices: Slices, volume: Volume, card: Card) -> Reading:
    """Take the network's maps back to the image."""
    labels = ordered(card)
    signs = read_signs(maps.bleeds, card.preprocess.spacing_mm**2 * card.preprocess.slab_mm / 1000)
    weighed = [weigh(sign, label.evidence) for sign, label in zip(signs, labels, strict=True)]
    claimed = marked(maps.bleeds)

    segmentation = np.zeros(volume.voxels.shape, np.uint8)
    for slab in np.flatnonzero((claimed > 0).any(axis=(1, 2))):
        segmentation[slices.slab_of == slab] = _label_plane(maps.bleeds[slab], claimed[slab], slices)
    segmentation[volume.voxels > BONE_HU] = 0
    _drop_specks(segmentation, volume)
    for index, label in enumerate(labels, start=1):
        if label.minimum_hu is not None:
            _drop_pale(segmentation, index, volume, label.minimum_hu)
    values = np.array([0, *(label.value for label in labels)], np.uint8)
    return Reading(
        segmentation=values[segmentation],
        slice_probabilities={
            label.name: slabs[slices.slab_of].astype(np.float32)
            for label, (slabs, _) in zip(labels, weighed, strict=True)
        },
        probabilities={
            label.name: calibrated(study, label.calibration) for label, (_, study) in zip(labels, weighed, strict=True)
        },
        ranges={
            label.name: _range(maps.bleeds[:, value], claimed == value, claimed == 0, slices.slab_mm(volume))
            for value, label in enumerate(labels, start=1)
        },
    )


def _range(
    p: NDArray[np.float32], claimed: NDArray[np.bool_], free: NDArray[np.bool_], slab_mm: NDArray[np.float64]
) -> tuple[float, float]:
    """Bounds of a volume relative to it; (1, 1) where nothing is claimed."""
    volume, sure, hinted = (
        float(mask.sum(axis=(1, 2)) @ slab_mm) for mask in (claimed, claimed & (p >= SURE), free & (p >= HINTED))
    )
    return (sure / volume, 1 + hinted / volume) if volume else (1.0, 1.0)


def _label_plane(probabilities: NDArray[np.float32], claimed: NDArray[np.uint8], slices: Slices) -> NDArray[np.uint8]:
    """What is claimed of one slab on the acquired pixels, (rows, columns)."""
    best = np.zeros(slices.shape, np.float32)
    plane = np.zeros(slices.shape, np.uint8)
    for value in np.unique(claimed[claimed > 0]):
        restored = slices.restore(probabilities[value])
        better = restored > best
        best[better], plane[better] = restored[better], value
    plane[slices.restore((claimed > 0).astype(np.float32)) < 0.5] = 0
    return plane


def _drop_specks(segmentation: NDArray[np.uint8], volume: Volume) -> None:
    box = extent(segmentation > 0)
    components, count = ndimage.label(segmentation[box], structure=np.ones((3, 3, 3)))
    if count == 0:
        return
    voxel_ml = np.broadcast_to(volume.voxel_ml[box[0], None, None], components.shape)
    inside = components > 0
    sizes = np.bincount(components[inside], weights=voxel_ml[inside], minlength=count + 1)
    segmentation[box][inside & (sizes < SMALLEST_ML)[components]] = 0


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
        low, high = reading.ranges[label.name]
        key_slice = int(area.argmax() if area.any() else reading.slice_probabilities[label.name].argmax())
        findings.append(
            Finding(
                label.name,
                probability,
                volume_ml,
                label.urgency.of(volume_ml),
                key_slice,
                volume_range_ml=(low * volume_ml, high * volume_ml),
                # An ellipsoid's formula; for crescents, films and casts it means nothing.
                abc2_ml=abc_over_2(mask, volume) if label.name in ELLIPSOIDS and area.any() else None,
            )
        )
    return tuple(sorted(findings, key=lambda finding: (finding.urgency, -finding.volume_ml)))
