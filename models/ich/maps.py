"""What the network says of every voxel, on its own grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit, softmax

from models.card import Card, LabelCard
from models.errors import EngineFailure
from models.space import one_space

MASKS = 3
INSIDE = 0.5

MARKED, BESIDE = 0.5, 0.3
"""A voxel is marked where it bleeds at least this probably, whichever kind of bleed it may be; from the second on where
a body of such voxels holds one that is marked by itself."""

AT_SKULL = ("SDH", "EDH")
RIM_MM = 4.5
"""No collection is called one that lies wholly this near the inner table: slices through a slanting skull do that."""


@dataclass(frozen=True, eq=False)
class Maps:
    """Probabilities by slab; rows to the back, columns to the patient's left.

    Attributes:
        bleeds: float32 (slabs, 1 + labels, size, size): background first, then labels in order of value; nothing
            bleeds outside the skull.
        intracranial: bool (slabs, size, size), one connected space.
        ventricles: float32 (slabs, size, size), lateral ventricles.
        left: float32 (slabs, size, size), the patient's left of the midline.
    """

    bleeds: NDArray[np.float32]
    intracranial: NDArray[np.bool_]
    ventricles: NDArray[np.float32]
    left: NDArray[np.float32]


def read_maps(logits: NDArray[np.float32], card: Card) -> Maps:
    """From (slabs, 1 + labels + 3, size, size) logits to probabilities, cut to the inside of the skull.

    Collections at the skull that reach no deeper than partial volume and hardened rays do are taken for these.

    Raises:
        EngineFailure: these are not the network's channels, or no numbers.
    """
    labels = len(card.labels)
    if logits.shape[1] != 1 + labels + MASKS:
        raise EngineFailure(f"The network answered with {logits.shape}, not with its labels.")
    if not np.isfinite(logits).all():  # softmax and argmax would quietly make "no finding" of it
        raise EngineFailure("The network answered with values that are no numbers.")
    bleeds = np.asarray(softmax(logits[:, : 1 + labels], axis=1), np.float32)
    masks = np.asarray(expit(logits[:, 1 + labels :]), np.float32)
    intracranial = one_space(masks[:, 0] > INSIDE)
    bleeds[:, 1:] *= intracranial[:, None]
    _clear_rims(bleeds, intracranial, card)
    bleeds[:, 0] = 1 - bleeds[:, 1:].sum(axis=1)
    return Maps(bleeds, intracranial, masks[:, 1] * intracranial, masks[:, 2])


def marked(bleeds: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The most probable bleed of each voxel that is marked, else 0; (slabs, size, size).

    Args:
        bleeds: as in `Maps`.
    """
    bleeding = bleeds[:, 1:].sum(axis=1)
    bodies, count = ndimage.label(bleeding >= BESIDE, structure=np.ones((3, 3, 3)))
    held = np.zeros(count + 1, np.bool_)
    held[bodies[bleeding >= MARKED]] = True
    return np.where(held[bodies], 1 + bleeds[:, 1:].argmax(axis=1), 0).astype(np.uint8)


def _clear_rims(bleeds: NDArray[np.float32], intracranial: NDArray[np.bool_], card: Card) -> None:
    """Take away the probability of components at the skull that are shallower than RIM_MM."""
    claimed = marked(bleeds)
    values = [place for place, label in enumerate(ordered(card), start=1) if label.name in AT_SKULL]
    if not np.isin(claimed, values).any():
        return
    depth_mm = np.stack([ndimage.distance_transform_edt(plane) for plane in intracranial]) * card.preprocess.spacing_mm
    for value in values:
        parts, count = ndimage.label(claimed == value, structure=np.ones((3, 3, 3)))
        for number, box in enumerate(ndimage.find_objects(parts), start=1):
            part = parts[box] == number
            if np.quantile(depth_mm[box][part], 0.95) < RIM_MM:
                bleeds[:, value][box][part] = 0
        if count:
            # What was only hinted at beside a rim went with it; what lies deeper stays.
            shallow = (depth_mm < RIM_MM) & (marked(bleeds) != value)
            near = ndimage.binary_dilation((claimed == value) & (bleeds[:, value] > 0), np.ones((3, 3, 3), np.bool_), 2)
            bleeds[:, value][shallow & ~near] = 0


def ordered(card: Card) -> list[LabelCard]:
    """The card's labels in the order of the network's channels."""
    return sorted(card.labels, key=lambda label: label.value)
