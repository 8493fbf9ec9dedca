"""Text in pixels, found by what letters are: strokes of one brightness, of one height, side by side. No model.

Burned-in text is drawn, not imaged: its pixels share one exact value. Images of a body share hardly any.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from services.datasets.deidentify.box import Box, around, follows
from services.datasets.deidentify.drawn import find_drawn

_WIDEST_STROKE: Final = 9
_HEIGHTS: Final = (5, 64)
_WIDEST: Final = 2.6
"""A letter is at most so many times as wide as high; letters that touch count as one wide letter."""

_LETTERS: Final = 4
_ALIKE: Final = 0.35
_MOST_ALIKE: Final = 0.75
"""Letters of a line are of one height, small and capital ones mixed."""

_CONTRAST: Final = 0.25
_SAME: Final = 0.12
_SAME_LOSSY: Final = 0.35
_CHANCE: Final = 20.0
_MOST: Final = 0.6
_SOFT: Final = 0.85
_SOFT_SPREAD: Final = 0.08
_SOFT_LETTERS: Final = 5
_SOFT_SHADES: Final = 128


def find_text(plane: NDArray[Any], *, lossy: bool = False, eager: bool = False) -> list[Box]:
    """Rectangles that hold a line of four letters or more, along rows or columns.

    Args:
        plane: brightness, (row, column), of any range.
        lossy: compressed with loss, so that strokes are not quite of one value.
        eager: text is likely: take lines of three, and letters that touch or differ in height.
    """
    values = plane.astype(np.float32)
    lowest, highest = float(values.min()), float(values.max())
    if highest <= lowest:
        return []
    shades = highest - lowest if plane.dtype.kind in "iu" else np.inf
    values = (values - lowest) / (highest - lowest)
    found = []
    if not lossy:
        found += find_drawn(plane, eager=eager)
        found += [Box(box.left, box.right, box.top, box.bottom) for box in find_drawn(plane.T, eager=eager)]
    for ink, levels in ((values, values), (1 - values, 1 - values)):
        strokes = _strokes(ink)
        found += _lines(strokes, levels, lossy=lossy, shades=shades, eager=eager)
        turned = _lines(strokes.T, levels.T, lossy=lossy, shades=shades, eager=eager)
        found += [Box(box.left, box.right, box.top, box.bottom) for box in turned]
    return found


def _strokes(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where something thin stands out brightly from what is around it."""
    opened = ndimage.grey_opening(values, size=(_WIDEST_STROKE, _WIDEST_STROKE))
    return np.asarray(values - opened > _CONTRAST)


def _lines(
    strokes: NDArray[np.bool_], values: NDArray[np.float32], *, lossy: bool, shades: float, eager: bool
) -> list[Box]:
    parts, _ = ndimage.label(strokes, structure=np.ones((3, 3)))
    letters = []
    for index, place in enumerate(ndimage.find_objects(parts), 1):
        box = Box(place[0].start, place[0].stop, place[1].start, place[1].stop)
        if _HEIGHTS[0] <= box.height <= _HEIGHTS[1] and box.right - box.left <= _WIDEST * box.height * _LETTERS:
            letters.append((box, index))
    lines: list[list[tuple[Box, int]]] = []
    for letter in sorted(letters, key=lambda one: (one[0].left, one[0].top)):
        line = next((line for line in lines if follows(line[-1][0], letter[0])), None)
        if line is None:
            lines.append([letter])
        else:
            line.append(letter)
    return [
        around([box for box, _ in line])
        for line in lines
        if _is_long(line, eager=eager) and _is_drawn(values, parts, line, lossy=lossy, shades=shades)
    ]


def _is_long(line: list[tuple[Box, int]], *, eager: bool) -> bool:
    whole = around([box for box, _ in line])
    heights = np.array([box.height for box, _ in line])
    alike = float((np.abs(heights / np.median(heights) - 1) <= _ALIKE).mean())
    enough = len(line) >= _LETTERS - 1 if eager else len(line) >= _LETTERS and alike >= _MOST_ALIKE
    return enough and whole.right - whole.left >= 1.2 * whole.height


def _is_drawn(
    values: NDArray[np.float32], parts: NDArray[Any], line: list[tuple[Box, int]], *, lossy: bool, shades: float
) -> bool:
    """Whether the strokes of a line share one value, most letters of it some."""
    ink = [
        values[box.top : box.bottom, box.left : box.right][parts[box.top : box.bottom, box.left : box.right] == index]
        for box, index in line
    ]
    together = np.concatenate(ink)
    step = 0.04 if lossy else 1 / 1024
    levels = np.round(together / step).astype(int)
    common = int(np.bincount(levels).argmax())
    near = 1 if lossy else 0
    shares = [float((np.abs(np.round(letter / step).astype(int) - common) <= near).mean()) for letter in ink]
    # Where there are few shades, strokes of anything share some.
    needed = _SAME_LOSSY if lossy else max(_SAME, _CHANCE / shades)
    whole = float((np.abs(levels - common) <= near).mean())
    if whole >= needed and float(np.mean([share > 0 for share in shares])) >= _MOST:
        return True
    # Small letters with soft edges: each reaches nearly the same height, at the end of the image's range.
    tops = np.array([letter.max() for letter in ink])
    return (
        len(ink) >= _SOFT_LETTERS
        and shades >= _SOFT_SHADES
        and bool((tops > tops.max() - _SOFT_SPREAD).mean() >= _MOST and tops.max() > _SOFT)
    )
