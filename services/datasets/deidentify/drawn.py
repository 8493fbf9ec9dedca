"""Letters by value alone: neighbouring pixels of exactly one value, in strokes, side by side on a line.

Finds what brightness against the ground does not: a word whose letters touch, and one that runs from dark onto bright
ground. Pixels of a body seldom share a value with their neighbours, so where text is likely, such strokes are taken
for text whatever else they are (rulers, curves, outlines).
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from services.datasets.deidentify.box import Box, around, follows

_HEIGHTS: Final = (5, 64)
_SMALLEST: Final = 5
_WIDEST_STROKE: Final = 9
_GROUND: Final = 15
_CONTRAST: Final = 0.04
"""Of the image's range, what a stroke's value differs by from the mean around it: less shows nobody a letter."""

_LETTERS: Final = 3
_MANY: Final = 5
_LONG: Final = 6
_JOINED: Final = 3
"""Letters that touch make one stroke, at least so many times as long as high."""


def find_drawn(plane: NDArray[Any], *, eager: bool = True) -> list[Box]:
    """Rectangles round lines of strokes of one value, along rows.

    Args:
        plane: stored values, (row, column), not compressed with loss.
        eager: text is likely: take short lines too, and letters that touch.
    """
    reach = float(plane.max()) - float(plane.min())
    if not reach:
        return []
    parts = _parts(plane)
    strokes = [
        (Box(place[0].start, place[0].stop, place[1].start, place[1].stop), value)
        for place, value in _strokes(parts, plane.astype(np.float32), reach)
    ]
    lines: list[tuple[float, list[Box]]] = []
    for box, value in sorted(strokes, key=lambda one: (one[0].left, one[0].top)):
        line = next((boxes for shade, boxes in lines if shade == value and follows(boxes[-1], box)), None)
        if line is None:
            lines.append((value, [box]))
        else:
            line.append(box)
    return [around(boxes) for _, boxes in lines if _is_line(boxes, eager=eager)]


def _is_line(boxes: list[Box], *, eager: bool) -> bool:
    whole = around(boxes)
    length = whole.right - whole.left
    if not eager:  # clipped streaks of a scanner are few, or short
        return len(boxes) >= _MANY and length >= _LONG * whole.height
    return length >= _JOINED * whole.height or (len(boxes) >= _LETTERS and length >= 1.2 * whole.height)


def _parts(plane: NDArray[Any]) -> NDArray[np.int32]:
    """A number for each patch of touching pixels of one value, (row, column)."""
    number = np.arange(plane.size).reshape(plane.shape)
    pairs = []
    for one, other in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1], np.s_[1:]),
        (np.s_[:-1, :-1], np.s_[1:, 1:]),
        (np.s_[:-1, 1:], np.s_[1:, :-1]),
    ):
        same = plane[one] == plane[other]
        pairs.append(np.stack([number[one][same], number[other][same]]))
    start, end = np.concatenate(pairs, axis=1)
    graph = sparse.coo_array((np.ones(start.size, np.bool_), (start, end)), shape=(plane.size, plane.size))
    _, labels = connected_components(graph, directed=False)
    return np.asarray(labels, np.int32).reshape(plane.shape)


def _strokes(
    parts: NDArray[np.int32], values: NDArray[np.float32], reach: float
) -> list[tuple[tuple[slice, slice], float]]:
    """Place and value of each patch that is thin, high as a letter, and stands out."""
    area = np.bincount(parts.ravel())
    kept = area >= _SMALLEST
    solid = ndimage.maximum_filter(parts, _WIDEST_STROKE) == ndimage.minimum_filter(parts, _WIDEST_STROKE)
    kept[np.unique(parts[solid])] = False
    off = np.abs(values - ndimage.uniform_filter(values, _GROUND))
    kept &= np.bincount(parts.ravel(), off.ravel()) >= _CONTRAST * reach * area
    renumbered = np.where(kept, np.cumsum(kept), 0)[parts]
    found = []
    for number, place in enumerate(ndimage.find_objects(renumbered), 1):
        if _HEIGHTS[0] <= place[0].stop - place[0].start <= _HEIGHTS[1]:
            found.append(((place[0], place[1]), float(values[place][renumbered[place] == number][0])))
    return found
