"""Slice positions of a series: where one is missing, and which way it is cut. Pure.

Positions are millimetres along the slice normal (row direction x column direction, PS3.3 C.7.6.2.1.1), so a tilted
gantry or an oblique stack is measured across its slices and not along an axis of the patient.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

_SAME_POSITION_MM = 0.02
_EQUAL = 0.10  # intervals closer than this, as a fraction, are one spacing
_MULTIPLE = 0.20  # how far from a whole multiple of the spacing, in spacings, an interval with a gap may lie
_PARALLEL = 0.999
_MOST_SKIPPED = 3

Orientation = Literal["axial", "coronal", "sagittal", "oblique"]
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Gaps:
    """What slice positions say.

    Attributes:
        positions: distinct positions in the largest stack of parallel slices.
        per_position: instances at most positions (echoes, b-values, time steps).
        duplicates: positions that hold more instances than most.
        missing_mm: positions without an instance, or with fewer than the others.
    """

    positions: int = 0
    per_position: int = 0
    duplicates: int = 0
    missing_mm: tuple[float, ...] = ()


def normal_of(orientation: Any) -> Vector | None:
    """Unit normal of Image Orientation (Patient); None where it is not one."""
    if not isinstance(orientation, list | tuple) or len(orientation) != 6:
        return None
    r, c = orientation[:3], orientation[3:]
    normal = (r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2], r[0] * c[1] - r[1] * c[0])
    length = math.hypot(*normal)
    return (normal[0] / length, normal[1] / length, normal[2] / length) if length > 0.1 else None


def orientation_of(orientation: Any) -> Orientation | None:
    """The plane whose normal is nearest, within 35 degrees; a gantry tilts up to 30."""
    normal = normal_of(orientation)
    if normal is None:
        return None
    names: tuple[Orientation, ...] = ("sagittal", "coronal", "axial")
    axis = max(range(3), key=lambda index: abs(normal[index]))
    return names[axis] if abs(normal[axis]) >= math.cos(math.radians(35)) else "oblique"


def find_gaps(planes: Sequence[Mapping[str, Any]]) -> Gaps:
    """Look for missing slices.

    A gap is an isolated interval near a multiple of its neighbours, or one where Instance Numbers skip as well;
    a run of wider intervals is a stack acquired in two spacings.

    Args:
        planes: attributes by DICOM keyword of single-frame instances.
    """
    stacks = [_gaps_of_stack(stack) for stack in _parallel_stacks(planes)]
    if not stacks:
        return Gaps()
    largest = max(stacks, key=lambda gaps: gaps.positions)
    missing = tuple(position for gaps in stacks for position in gaps.missing_mm)
    return Gaps(largest.positions, largest.per_position, largest.duplicates, missing)


def _parallel_stacks(planes: Sequence[Mapping[str, Any]]) -> list[list[tuple[float, int | None]]]:
    """(position in mm, Instance Number) of the planes with one normal, in one frame of reference."""
    stacks: list[tuple[Any, Vector, list[tuple[float, int | None]]]] = []
    for plane in planes:
        normal, origin = normal_of(plane.get("ImageOrientationPatient")), plane.get("ImagePositionPatient")
        if normal is None or not isinstance(origin, list | tuple) or len(origin) != 3:
            continue
        frame = plane.get("FrameOfReferenceUID")
        parallel = (entry for entry in stacks if entry[0] == frame and abs(_dot(entry[1], normal)) >= _PARALLEL)
        entry = next(parallel, None)
        if entry is None:
            entry = (frame, normal, [])
            stacks.append(entry)
        number = plane.get("InstanceNumber")
        entry[2].append((_dot(entry[1], origin), number if isinstance(number, int) else None))
    return [stack for _, _, stack in stacks]


def _gaps_of_stack(stack: list[tuple[float, int | None]]) -> Gaps:
    members: list[tuple[float, list[int | None]]] = []
    for position, number in sorted(stack, key=lambda entry: entry[0]):
        if members and position - members[-1][0] <= _SAME_POSITION_MM:
            members[-1][1].append(number)
        else:
            members.append((position, [number]))
    positions = [position for position, _ in members]
    counts = [len(numbers) for _, numbers in members]
    usual, holders = Counter(counts).most_common(1)[0]
    # A position with fewer than the others lacks an echo or a b-value; only where nearly all agree is that evidence.
    short = [p for p, n in zip(positions, counts, strict=True) if n < usual] if holders >= 0.75 * len(counts) else []
    missing = sorted([*_missing_between(positions, [_only(numbers) for _, numbers in members]), *short])
    return Gaps(len(positions), usual, sum(count > usual for count in counts), tuple(missing))


def _missing_between(positions: list[float], numbers: list[int | None]) -> list[float]:
    intervals = [later - earlier for earlier, later in pairwise(positions)]
    if len(intervals) < 2:
        return []
    skipped = _skipped(numbers)
    holes = [0] * len(intervals)
    for start, end in _runs(intervals):
        before = intervals[start - 1] if start else None
        after = intervals[end] if end < len(intervals) else None
        neighbours = [value for value in (before, after) if value is not None]
        for index in range(start, end):
            holes[index] = _multiple(intervals[index], before, after, run=end - start) - 1
            wider = bool(neighbours) and intervals[index] > 1.05 * min(neighbours)
            if not holes[index] and wider and skipped[index] <= _MOST_SKIPPED:
                holes[index] = skipped[index]
    if any(hole and skip for hole, skip in zip(holes, skipped, strict=True)):
        # Numbers that skip where slices are missing count slices faithfully: elsewhere nothing is missing.
        holes = [hole if skip else 0 for hole, skip in zip(holes, skipped, strict=True)]
    return [
        position + interval / (hole + 1) * step
        for position, interval, hole in zip(positions, intervals, holes, strict=False)
        for step in range(1, hole + 1)
    ]


def _runs(intervals: list[float]) -> list[tuple[int, int]]:
    """Half-open ranges of neighbouring intervals of one spacing."""
    runs = [(0, 1)]
    for index in range(1, len(intervals)):
        start, _ = runs[-1]
        first = intervals[start]
        if abs(intervals[index] - first) <= _EQUAL * max(first, intervals[index]):
            runs[-1] = (start, index + 1)
        else:
            runs.append((index, index + 1))
    return runs


def _multiple(interval: float, before: float | None, after: float | None, *, run: int) -> int:
    """How many spacings of a neighbour an interval spans, if it looks like a gap; else 1.

    A run of several wider intervals is a gap pattern only between two stretches of the same spacing.
    """
    sandwiched = before is not None and after is not None and abs(before - after) <= _EQUAL * max(before, after)
    if run > 1 and not sandwiched:
        return 1
    for spacing in sorted((value for value in (before, after) if value is not None), reverse=True):
        multiple = round(interval / spacing)
        if multiple >= 2 and abs(interval / spacing - multiple) <= _MULTIPLE:
            return multiple
    return 1


def _skipped(numbers: list[int | None]) -> list[int]:
    """Instance Numbers left out between neighbouring positions; all 0 unless they climb (or fall) evenly."""
    none = [0] * (len(numbers) - 1)
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers) or len(numbers) < 4:
        return none
    steps = [later - earlier for earlier, later in pairwise(known)]
    usual, times = Counter(steps).most_common(1)[0]
    if usual == 0 or times < 0.6 * len(steps):
        return none
    return [step // usual - 1 if step % usual == 0 and step // usual > 1 else 0 for step in steps]


def _only(numbers: list[int | None]) -> int | None:
    """The number a position counts by: its smallest, so that echoes or repeats beside it do not matter."""
    known = [number for number in numbers if number is not None]
    return min(known) if known else None


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
