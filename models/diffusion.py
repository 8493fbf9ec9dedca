"""Diffusion-weighted MR: which of a series' b-values and directions a model sees.

A scanner may store b0, several shells and every direction in one series, so several images lie at one place.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from models.errors import InvalidVolume

LOWEST_WEIGHTED = 500.0
WANTED = 1000.0
"""s/mm2; acute infarcts are read at this one, and models learn from it."""

SHELL = 50.0
"""Scanners write 995 or 1005 for 1000: b-values this near, s/mm2, are one shell."""

_GE_OFFSET = 1e9
# Before the standard had an attribute: group, private creator, element.
_PRIVATE = (
    (0x0019, "SIEMENS MR HEADER", 0x0C),
    (0x0043, "GEMS_PARM_01", 0x39),
    (0x2001, "Philips Imaging DD 001", 0x03),
    (0x0065, "Image Private Header", 0x09),
)


def b_value_of(dataset: Dataset) -> float | None:
    """b-value of a classic instance, s/mm2; None where its header has none that can be read."""
    value = dataset.get("DiffusionBValue")
    for group, creator, element in _PRIVATE if value is None else ():
        try:
            value = dataset.private_block(group, creator)[element].value
        except KeyError:
            continue
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace").split("\\")
        break
    try:
        first = value[0] if isinstance(value, list | MultiValue) else value
        return None if first is None else float(first) % _GE_OFFSET
    except (TypeError, ValueError, IndexError):
        return None


def is_trace(dataset: Dataset) -> bool:
    """Whether an instance or frame is the mean over directions already."""
    image_type = dataset.get("ImageType") or ()
    return "TRACEW" in image_type or dataset.get("DiffusionDirectionality") == "ISOTROPIC"


def choose_images(b_values: Sequence[float | None], traces: Sequence[bool], places: Sequence[int]) -> list[list[int]]:
    """The images of one shell at every place, places in order: the shell nearest b 1000, its traces where it has them.

    Args:
        b_values: of every image; one without counts as b0.
        places: index of the slice position of every image.

    Raises:
        InvalidVolume: no shell covers every place evenly.
    """
    shells = [round((b or 0.0) / SHELL) * SHELL for b in b_values]
    slices = sorted(set(places))
    for shell in sorted({b for b in shells if b >= LOWEST_WEIGHTED}, key=lambda b: (abs(b - WANTED), -b)):
        members = [k for k, b in enumerate(shells) if b == shell]
        isotropic = [k for k in members if traces[k]]
        for chosen in (isotropic, members):
            at = [[k for k in chosen if places[k] == place] for place in slices]
            if at and len({len(images) for images in at}) == 1 and at[0]:
                return at
    raise InvalidVolume(
        f"Several images lie at one place, and no b-value of {LOWEST_WEIGHTED:g} or more is there for every slice."
    )


def combine(images: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Directions as one image: their geometric mean, for attenuations multiply."""
    if len(images) == 1:
        return images[0]
    logs = [np.log(np.maximum(image, 1e-3)) for image in images]
    return np.asarray(np.exp(np.mean(logs, axis=0)), np.float32)
