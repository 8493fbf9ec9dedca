"""Accepted head CTs as the ICH network learns them."""

from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from models.card import Card
from models.finetune.labelled import Labelled
from models.ich.maps import Maps, ordered
from models.ich.model import ROLE, ICHModel
from models.ich.preprocess import Slices, prepare
from models.ich.train.pool import INTRACRANIAL, LATERAL, LEFT, Case
from models.ich.train.training import Cases, loss_on
from models.registry import Model
from models.training import Loss
from models.view import View

SEEN_HU = (-300.0, 300.0)
"""What is left of the densities: all that the network's own window and its augmentation look at."""


def make_case(labelled: Labelled, parent: Model) -> Case:
    """A study on the network's grid.

    Experts draw bleeds alone: inside of the skull, ventricles and left are taken from the parent's own answer.
    """
    volume, settings = labelled.inputs[ROLE], parent.card.preprocess
    maps = cast(ICHModel, parent).look(prepare(volume, settings))
    seen = settings.model_copy(update={"window": SEEN_HU, "centre": 0.0, "scale": 1.0})
    return case_of(labelled.labels, prepare(volume, seen), maps, parent.card)


def case_of(labels: NDArray[np.uint8], slices: Slices, maps: Maps, card: Card) -> Case:
    """Densities (HU) on the network's grid with the bleeds of a label map and the masks of `maps`."""
    marks = maps.intracranial * np.uint8(INTRACRANIAL)
    marks |= (maps.ventricles > 0.5) * np.uint8(LATERAL)
    marks |= (maps.left > 0.5) * np.uint8(LEFT)
    for place, label in enumerate(ordered(card), start=1):
        marks[cut(labels == label.value, slices)] |= np.uint8(place)
    return Case(np.rint(slices.images).astype(np.int16), marks.astype(np.uint8))


def cut(mask: NDArray[np.bool_], slices: Slices) -> NDArray[np.bool_]:
    """An acquired mask on the network's grid, (slabs, size, size): at least half of a slab and more of a pixel."""
    view = View(slices.images.shape[1], slices.shape, slices.centre, slices.step)
    found = np.zeros(slices.images.shape, np.bool_)
    for slab in np.unique(slices.slab_of[mask.any(axis=(1, 2))]):
        found[slab] = view.cut(mask[slices.slab_of == slab].mean(axis=0, dtype=np.float32)) > 0.5
    return found


def loss_of(network: nn.Module, card: Card, pool: Path, size: int) -> Loss:
    """The loss of batches drawn from a pool."""
    return loss_on(network, Cases(pool, "train", card.preprocess.neighbours), size)
