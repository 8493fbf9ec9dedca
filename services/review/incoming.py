"""What a file from elsewhere marks, before its numbers become a task's labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.review.masks import Grid, InvalidMask, Mask


class OtherGrid(InvalidMask):
    """The mask lies on another grid. It can be resampled onto this one, when somebody asks for that."""


@dataclass(frozen=True, eq=False)
class Incoming:
    """A mask read from a file, on the images' grid.

    Attributes:
        segments: uint16, axes (slice, row, column); 0 is nothing, other values are the file's own numbers.
        names: what the file calls its numbers; a NIfTI calls them nothing.
        notes: what whoever takes the mask should know of how it was read; sentences.
        references: SOP Instance UIDs of the objects that the file says it was made from.
        resampled: whether its voxels were moved onto this grid.
    """

    segments: NDArray[np.uint16]
    names: Mapping[int, str]
    grid: Grid
    notes: tuple[str, ...] = ()
    references: frozenset[str] = frozenset()
    resampled: bool = False

    @property
    def numbers(self) -> dict[int, int]:
        """Voxels of each number that has any."""
        values, counts = np.unique(self.segments, return_counts=True)
        return {int(value): int(count) for value, count in zip(values, counts, strict=True) if value}


@dataclass(frozen=True)
class TaskLabel:
    """A label of the task: its value in the stored mask, its name, and what it stands for."""

    value: int
    name: str
    meaning: str = ""


def propose_mapping(
    incoming: Incoming, labels: Sequence[TaskLabel], known: Mapping[int, str] | None = None
) -> dict[int, int | None]:
    """Which label each number of the file most likely is; None where nothing says so.

    A name counts before a number: OHIF keeps label and number and renames the coded type to "Tissue". A NIfTI has
    numbers alone, which are the stored mask's.

    Args:
        known: names by number in the segmentation the reader opened, for files that lost the names.
    """
    by_word = {_plain(word): label.value for label in reversed(labels) for word in (label.meaning, label.name) if word}
    values = {label.value for label in labels}
    proposed: dict[int, int | None] = {}
    for number in incoming.numbers:
        value = by_word.get(_plain(incoming.names.get(number, "")))
        if value is None and known:
            value = by_word.get(_plain(known.get(number, "")))
        if value is None and not known and not incoming.names and number in values:
            value = number
        proposed[number] = value
    return proposed


def apply_mapping(incoming: Incoming, mapping: Mapping[int, int | None], labels: Sequence[TaskLabel]) -> Mask:
    """The mask with the task's values. A number mapped to 0 is left out on purpose.

    Raises:
        InvalidMask: a number has no label, or one the task does not have.
    """
    values = {label.value for label in labels} | {0}
    table = np.zeros(2**16, np.uint8)
    for number, voxels in incoming.numbers.items():
        value = mapping.get(number)
        if value is None or value not in values:
            named = f" ({incoming.names[number]})" if incoming.names.get(number) else ""
            raise InvalidMask(
                f"Number {number}{named} of the file, {voxels} voxels, the first on slice "
                f"{_first_slice(incoming, number) + 1}, is no label of this task. Choose one of "
                f"{', '.join(label.name for label in labels)}, or leave it out."
            )
        table[number] = value
    mask = Mask(table[incoming.segments], incoming.grid)
    if not mask.labels.any():
        raise InvalidMask("Nothing is left: every number of the file is left out. Choose a label for at least one.")
    return mask


def _first_slice(incoming: Incoming, number: int) -> int:
    return int(np.flatnonzero((incoming.segments == number).any(axis=(1, 2)))[0])


def _plain(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum())


def resample(segments: NDArray[np.uint16], affine: NDArray[np.float64], grid: Grid) -> NDArray[np.uint16]:
    """Numbers of the nearest voxels, on another grid.

    Args:
        segments: axes as the affine's, (first, second, third).
        affine: from their index to LPS millimetres, (4, 4).

    Returns:
        Axes (slice, row, column) of the grid; 0 where the file does not reach.
    """
    inverse = np.linalg.inv(affine)
    columns = np.arange(grid.shape[2])[None, :, None] * np.array(grid.row_direction) * grid.spacing_mm[1]
    rows = np.arange(grid.shape[1])[:, None, None] * np.array(grid.column_direction) * grid.spacing_mm[0]
    moved = np.zeros(grid.shape, np.uint16)
    for k, position in enumerate(grid.positions_mm):
        index = np.rint((position + columns + rows) @ inverse[:3, :3].T + inverse[:3, 3]).astype(np.int64)
        inside = ((index >= 0) & (index < segments.shape)).all(axis=-1)
        first, second, third = index[inside].T
        moved[k][inside] = segments[first, second, third]
    return moved


def resample_slices(numbers: NDArray[np.uint16], own: Grid, step_mm: float, grid: Grid) -> NDArray[np.uint16]:
    """Numbers of the nearest voxels of slices that may be tilted, uneven or left out, on another grid.

    Args:
        numbers: axes (slice, row, column) of `own`.
        step_mm: thickness of one of its slices; farther than half of it from the nearest one nothing is marked.

    Returns:
        Axes (slice, row, column) of the grid; 0 where the slices do not reach.
    """
    normal, offsets = own.volume.normal, own.volume.offsets_mm
    middles = (offsets[1:] + offsets[:-1]) / 2
    right, down = np.array(own.row_direction), np.array(own.column_direction)
    columns = np.arange(grid.shape[2])[None, :, None] * np.array(grid.row_direction) * grid.spacing_mm[1]
    rows = np.arange(grid.shape[1])[:, None, None] * np.array(grid.column_direction) * grid.spacing_mm[0]
    moved = np.zeros(grid.shape, np.uint16)
    for k, position in enumerate(grid.positions_mm):
        places = position + columns + rows
        away = places @ normal
        nearest = np.searchsorted(middles, away)
        within = places - own.positions_mm[nearest]
        row = np.rint(within @ down / own.spacing_mm[0]).astype(np.int64)
        column = np.rint(within @ right / own.spacing_mm[1]).astype(np.int64)
        inside = np.abs(away - offsets[nearest]) <= step_mm / 2
        inside &= (row >= 0) & (row < own.shape[1]) & (column >= 0) & (column < own.shape[2])
        moved[k][inside] = numbers[nearest[inside], row[inside], column[inside]]
    return moved
