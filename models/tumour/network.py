"""Four sequences as the network wants them, its probabilities back on the grid they were resampled to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit

from models.card import Card, Preprocess
from models.engines import Engine
from models.errors import EngineFailure, InvalidVolume
from models.space import one_space
from models.view import View
from models.volume import Volume

ROLES = ("T1c", "FLAIR", "T2", "T1")
"""In the order of the network's channels. The first one that is there is the reference."""

REGIONS = 3
"""Whole tumour, its body, what of it enhances: each within the one before."""

MASKS = 3
"""After them: inside of the skull, lateral ventricles, the patient's left half."""

INSIDE = 0.5
"""What is less probably inside of the skull is outside: nothing is tumour there."""

DEEP_MM = 20.0
"""What lies so far within the head's outline, or within the brain's where the skull was stripped, is mostly brain."""

HEAD_SHARE = 0.2
"""Of the 98th percentile of a sequence: what is brighter is head."""

NOTHING = 0.01
"""Slices in which no voxel is more probable than this need not be brought back."""

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]


def head_of(image: Field) -> Mask:
    """Head in an image, without its holes, (slice, row, column)."""
    bright = image > HEAD_SHARE * float(np.percentile(image, 98))
    opened = ndimage.binary_opening(bright, np.ones((1, 3, 3), np.bool_))
    return np.stack([ndimage.binary_fill_holes(plane) for plane in opened])


def deep_of(head: Mask, spacing_mm: tuple[float, float]) -> Mask:
    """What lies deep in it, in its planes; all of it where nothing does."""
    depth = np.stack([ndimage.distance_transform_edt(plane, sampling=spacing_mm) for plane in head])
    deep = depth > DEEP_MM
    return np.asarray(deep if deep.any() else head, np.bool_)


def level_of(image: Field, deep: Mask) -> float:
    """A sequence's usual signal.

    Raises:
        InvalidVolume: there is none.
    """
    values = image[deep & (image > 0)]
    if not values.size:
        raise InvalidVolume("A sequence shows nothing where the others show a head.")
    return max(float(np.median(values)), 1e-6)


def stack(planes: Mapping[str, Field], around: Sequence[NDArray[np.intp]], settings: Preprocess) -> Field:
    """(slices, 12, size, size): below, itself and above of every role; zeros for a role that is not there.

    Args:
        planes: by role (slices, size, size), over the usual signal.
        around: which slices are below, itself and above, each (slices,).
    """
    shape = next(iter(planes.values())).shape
    stacked = np.zeros((len(around[0]), 3 * len(ROLES), *shape[1:]), np.float32)
    for number, role in enumerate(ROLES):
        if role in planes:
            for place, slices in enumerate(around):
                stacked[:, 3 * number + place] = (
                    np.clip(planes[role][slices], *settings.window) - settings.centre
                ) / settings.scale
    return stacked


def slices_apart(volume: Volume, settings: Preprocess) -> int:
    """Thin slices are looked at some apart, about `slab_mm`."""
    return max(1, round(settings.slab_mm / float(np.median(volume.slab_mm))))


@dataclass(frozen=True, eq=False)
class Maps:
    """What the network says of a study, in its view and on the grid.

    Attributes:
        seen: probabilities of the regions, (slice, REGIONS, size, size), of the slices that were looked at; zero
            outside of the skull.
        looked: which slices of the grid those are.
        voxel_ml: of the view.
        inside: of the skull, one connected space, (slice, size, size), of the slices that were looked at.
        ventricles, left: probabilities, likewise.
        regions: (REGIONS, slice, row, column) on the grid, each within the one before.
    """

    seen: Field
    looked: NDArray[np.intp]
    voxel_ml: float
    inside: Mask
    ventricles: Field
    left: Field
    regions: Field

    def of_labels(self, *, contrast: bool) -> Field:
        """Probabilities of background and of the labels, (slice, 1 + labels, size, size).

        Args:
            contrast: non-enhancing, oedema, enhancing; otherwise oedema and the undivided body.
        """
        whole, body, enhancing = (self.seen[:, k] for k in range(REGIONS))
        if contrast:
            return np.stack([1 - whole, body - enhancing, whole - body, enhancing], axis=1)
        return np.stack([1 - whole, whole - body, body], axis=1)


def read(engine: Engine, card: Card, images: Mapping[str, Volume], head: Mask) -> Maps:
    """Run the network on a study.

    Args:
        images: by role, on one axial grid.
        head: on that grid.

    Raises:
        EngineFailure: the network's answer has another shape than the question, or holds no numbers.
        InvalidVolume: a sequence is empty.
    """
    settings, grid = card.preprocess, next(images[role] for role in ROLES if role in images)
    view = View.of(grid, np.asarray(head.any(axis=0)), size=settings.size, spacing_mm=settings.spacing_mm)
    deep = deep_of(head, grid.spacing_mm)
    shown = np.flatnonzero(head.any(axis=(1, 2)))
    apart = slices_apart(grid, settings)
    looked = np.unique(np.append(np.arange(shown[0], shown[-1], apart), shown[-1]))
    planes = {}
    for role, volume in images.items():
        level = np.float32(level_of(volume.voxels, deep))
        planes[role] = np.stack([view.cut(volume.voxels[k] / level) for k in looked])
    order = np.arange(len(looked))
    around = [np.clip(order + d, 0, len(looked) - 1) for d in (-1, 0, 1)]
    answers = np.empty((len(looked), REGIONS + MASKS, settings.size, settings.size), np.float32)
    for start in range(0, len(looked), card.batch):
        part = stack(planes, [slices[start : start + card.batch] for slices in around], settings)
        # Seen in the mirror as well: the network learned both, and errs less often the same way in both.
        mirrored = _run(engine, card, part[..., ::-1])[..., ::-1]
        mirrored[:, -1] = 1 - mirrored[:, -1]  # what is left is right there
        answers[start : start + card.batch] = (_run(engine, card, part) + mirrored) / 2
    inside = one_space(answers[:, REGIONS] > INSIDE)
    seen = np.minimum.accumulate(answers[:, :REGIONS], axis=1) * inside[:, None]
    regions = np.zeros((REGIONS, *head.shape), np.float32)
    for region in range(REGIONS):
        restored = [view.restore(plane) if plane.max() > NOTHING else None for plane in seen[:, region]]
        _between(regions[region], looked, restored)
    voxel_ml = settings.spacing_mm**2 * float(np.median(grid.slab_mm)) * apart / 1000
    return Maps(seen, looked, voxel_ml, inside, answers[:, -2] * inside, answers[:, -1], regions)


def _between(result: Field, looked: NDArray[np.intp], restored: list[Field | None]) -> None:
    """Fill every slice from those that were looked at, those between them linearly; None stands for zeros."""
    for low, high in zip(range(len(looked)), [*range(1, len(looked)), len(looked) - 1], strict=True):
        first, second = restored[low], restored[high]
        gap = max(1, looked[high] - looked[low])
        for k in range(looked[low], max(looked[high], looked[low] + 1)):
            share = np.float32((k - looked[low]) / gap)
            for weight, plane in ((1 - share, first), (share, second)):
                if plane is not None and weight:
                    result[k] += weight * plane


def _run(engine: Engine, card: Card, stacks: Field) -> Field:
    """(slices, 12, size, size) to probabilities, (slices, REGIONS + MASKS, size, size)."""
    logits = engine.run({"slices": np.ascontiguousarray(stacks)})["logits"]
    if logits.shape != (len(stacks), REGIONS + MASKS, *stacks.shape[2:]) or not np.isfinite(logits).all():
        raise EngineFailure(f"The network of {card.name} answered with {logits.shape}, not with its labels.")
    return np.asarray(expit(logits), np.float32)
