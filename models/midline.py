"""Midline shift, from a network's maps of the inside of the skull, its left half and the lateral ventricles."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

SMALLEST_BRAIN_MM2, SMALLEST_VENTRICLES_MM2 = 6000.0, 100.0
"""Slabs with less are the vertex or the base; the shift is read at the height of the ventricles."""

FEWEST_ROWS = 30
LEAST_AGREEMENT = 0.95
"""Share of a slab's pixels that lie on their own side of the fitted bow; with fewer, left is known in patches only."""

NOISE_MM = 2.0
"""How far a row's border strays by itself; rows further off count less."""


def midline_shift_mm(
    intracranial: NDArray[np.bool_], left: NDArray[np.float32], ventricles: NDArray[np.float32], spacing_mm: float
) -> float | None:
    """How far the midline lies from the straight line between its ends, mm.

    The falx holds the midline in front and behind; between, it bows. In every slab that shows the lateral ventricles,
    as guidelines ask, a line with a bow, (1 - t^2) for t from -1 in front to 1 behind, is fitted to the border of left
    and right. The bow's height is the slab's shift, to one side or the other; the middle one of all these slabs counts,
    because a single slab strays by several millimetres.

    Args:
        intracranial, left, ventricles: each (slabs, rows, columns), rows to the back, columns to the patient's left;
            the latter two from 0 to 1.
        spacing_mm: of rows and columns.

    Returns:
        None when no slab shows enough of brain and ventricles, or left and right are not told apart in any.
    """
    shifts = []
    for inside, half, ventricle in zip(intracranial, left, ventricles, strict=True):
        brain_mm2, ventricles_mm2 = (mask.sum() * spacing_mm**2 for mask in (inside, ventricle > 0.5))
        if brain_mm2 >= SMALLEST_BRAIN_MM2 and ventricles_mm2 >= SMALLEST_VENTRICLES_MM2:
            bow = _bow(inside, half, NOISE_MM / spacing_mm)
            if bow is not None:
                shifts.append(bow * spacing_mm)
    if not shifts:
        return None
    return float(abs(np.median(shifts)))


def _bow(inside: NDArray[np.bool_], left: NDArray[np.float32], noise: float) -> float | None:
    """Height in pixels of the bow between left and right, positive to the left."""
    rows = np.flatnonzero(inside.any(axis=1))
    border = np.array([_border(inside[row], left[row]) for row in rows])
    known = np.isfinite(border)
    if known.sum() < FEWEST_ROWS:
        return None
    t = 2 * (rows - rows[0]) / (rows[-1] - rows[0]) - 1
    terms = np.column_stack([np.ones_like(t), t, 1 - t**2])

    def away(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(terms[known] @ weights - border[known])

    fit = least_squares(away, [border[known].mean(), 0, 0], loss="soft_l1", f_scale=noise)
    _, lean, height = fit.x
    bow = terms @ fit.x
    on_left = np.arange(inside.shape[1])[None] > bow[:, None]
    if (on_left == (left[rows] > 0.5))[inside[rows]].mean() < LEAST_AGREEMENT:
        return None
    slope = 2 * lean / (rows[-1] - rows[0])
    return float(height / np.hypot(1, slope))


def _border(inside: NDArray[np.bool_], left: NDArray[np.float32]) -> float:
    """The column that parts right from left best, by pixels on their own side; NaN where a side is missing."""
    columns = np.flatnonzero(inside)
    if len(columns) < 10:
        return float("nan")
    is_left = left[columns] > 0.5
    if is_left.all() or not is_left.any():
        return float("nan")
    wrong = np.concatenate([[0], np.cumsum(is_left)]) + np.concatenate([np.cumsum(~is_left[::-1])[::-1], [0]])
    at = int(wrong.argmin())
    return float(columns[min(at, len(columns) - 1)] - 0.5)
