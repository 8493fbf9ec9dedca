"""The space that a network's mask of it stands for."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def extent(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box that holds all of a mask; nothing of an empty one."""
    boxes = ndimage.find_objects(mask.view(np.uint8))
    return boxes[0] if boxes else (slice(0, 0),) * mask.ndim


def one_space(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of a mask, (slice, row, column), its holes filled slice by slice."""
    parts, count = ndimage.label(mask)
    if count > 1:
        mask = parts == np.bincount(parts[parts > 0]).argmax()
    return np.stack([ndimage.binary_fill_holes(plane) for plane in mask])
