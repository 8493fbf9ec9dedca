"""Rectangles in an image, and when one letter stands on the line of another."""

from dataclasses import dataclass
from typing import Final

_WORD: Final = 8
"""A dozen letters are about so many times as long as high."""


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows [top, bottom), columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def grown(self, shape: tuple[int, ...]) -> "Box":
        """With a margin of half a letter across and a word along: a line may run on over ground as bright as itself."""
        upright = self.height > self.right - self.left
        size = min(self.height, self.right - self.left)
        across, along = max(3, size // 2), _WORD * size
        rows, columns = (along, across) if upright else (across, along)
        return Box(
            max(0, self.top - rows),
            min(shape[0], self.bottom + rows),
            max(0, self.left - columns),
            min(shape[1], self.right + columns),
        )


def follows(last: Box, box: Box) -> bool:
    """Whether a letter stands on the line that another one ends."""
    high, low = max(last.height, box.height), min(last.height, box.height)
    overlap = min(last.bottom, box.bottom) - max(last.top, box.top)
    return box.left - last.right <= 1.2 * high and high <= 2.2 * low and overlap >= 0.5 * low


def around(boxes: list[Box]) -> Box:
    return Box(
        min(box.top for box in boxes),
        max(box.bottom for box in boxes),
        min(box.left for box in boxes),
        max(box.right for box in boxes),
    )
