"""The network of this model, untrained."""

from models.unet.committee import CLASSES, MIRRORED, PLAIN, Bleeds
from models.unet.network import SliceUNet

MASKS = 3
"""Intracranial space, lateral ventricles, the patient's left half; each for itself (sigmoid)."""

NEIGHBOURS = (-4, -2, -1, 0, 1, 2, 4)
"""Slabs shown together, by their places above the middle one: 2 cm up and down, for what is flat in its own slice."""

WIDTHS = (32, 56, 112, 192, 256)


def new_network() -> SliceUNet:
    """(batch, 7, 192, 192) normalised slices to (batch, 9, 192, 192) logits.

    Background, IPH, IVH, SDH, EDH, SAH; then intracranial space, lateral ventricles, left.
    """
    return SliceUNet(len(NEIGHBOURS), CLASSES + MASKS, WIDTHS)


def new_committee() -> Bleeds:
    """What is served since 0.11.0, untrained: three of the same size."""
    return Bleeds({PLAIN: new_network(), MIRRORED: new_network(), f"{MIRRORED}2": new_network()})
