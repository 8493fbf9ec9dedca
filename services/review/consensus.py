"""One mask from several: majority vote, and STAPLE with the majority as its guard. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8]

MARGIN = 2
"""STAPLE looks at the box around all marks and so many voxels more: more background only inflates specificity."""

ROUNDS, TOLERANCE = 100, 1e-6
GUARD_DICE = 0.8
"""STAPLE that coincides less with the majority has collapsed, as it does in a part of all runs."""


@dataclass(frozen=True, eq=False)
class Staple:
    """What STAPLE estimates.

    Attributes:
        labels: the estimate; None when the guard refused it.
        refused: why, as a sentence, or None.
        sensitivity, specificity: of each reader by label value, in the order of the masks.
    """

    labels: Labels | None
    refused: str | None
    sensitivity: dict[int, tuple[float, ...]]
    specificity: dict[int, tuple[float, ...]]


def majority(masks: Sequence[Labels]) -> Labels:
    """The label that more than half of the masks give a voxel, axes (slice, row, column); 0 where none has so many."""
    stack = np.stack(masks)
    decided = np.zeros(stack.shape[1:], np.uint8)
    for value in _values(stack):
        decided[(stack == value).sum(axis=0) * 2 > len(masks)] = value
    return decided


def staple(masks: Sequence[Labels]) -> Staple:
    """Expectation maximisation of every reader's performance and of the truth, label by label.

    Source: Warfield, Zou & Wells, IEEE Trans Med Imaging 2004;23:903-921, binary, with one prior for all voxels.
    """
    stack = np.stack(masks)
    guard = majority(masks)
    if not stack.any():
        return Staple(guard, None, {}, {})
    box = _box(np.asarray(stack.any(axis=0)))
    part = stack[(slice(None), *box)].reshape(len(masks), -1)
    values = _values(stack)
    weights = np.zeros((len(values), part.shape[1]))
    sensitivity, specificity = {}, {}
    for index, value in enumerate(values):
        weights[index], p, q = _estimate(part == value)
        sensitivity[value], specificity[value] = tuple(map(float, p)), tuple(map(float, q))
    best = weights.argmax(axis=0)
    chosen = np.where(weights.max(axis=0) > 0.5, np.array(values, np.uint8)[best], 0).astype(np.uint8)
    labels = np.zeros_like(guard)
    labels[box] = chosen.reshape(labels[box].shape)
    worst = min((_dice(labels == value, guard == value), value) for value in values)
    if worst[0] < GUARD_DICE:
        reason = (
            f"STAPLE coincides with the majority by only Dice {worst[0]:.2f} for label {worst[1]}; it is not offered."
        )
        return Staple(None, reason, sensitivity, specificity)
    return Staple(labels, None, sensitivity, specificity)


def _estimate(decisions: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Probability of the truth (voxels,), sensitivity and specificity (readers,) from decisions (readers, voxels)."""
    prior = float(decisions.mean())
    p, q = np.full(len(decisions), 0.99), np.full(len(decisions), 0.99)
    weight = np.zeros(decisions.shape[1])
    for _ in range(ROUNDS):
        true = prior * np.where(decisions, p[:, None], 1 - p[:, None]).prod(axis=0)
        false = (1 - prior) * np.where(decisions, 1 - q[:, None], q[:, None]).prod(axis=0)
        weight = true / np.maximum(true + false, np.finfo(float).tiny)
        old = np.concatenate([p, q])
        p = np.clip((decisions * weight).sum(axis=1) / max(weight.sum(), 1e-12), 1e-6, 1 - 1e-6)
        q = np.clip((~decisions * (1 - weight)).sum(axis=1) / max((1 - weight).sum(), 1e-12), 1e-6, 1 - 1e-6)
        if np.abs(np.concatenate([p, q]) - old).max() < TOLERANCE:
            break
    return weight, p, q


def _values(stack: NDArray[np.uint8]) -> list[int]:
    return [int(value) for value in np.unique(stack) if value]


def _box(marked: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    places = [np.flatnonzero(marked.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    first, second, third = (slice(max(0, int(at[0]) - MARGIN), int(at[-1]) + MARGIN + 1) for at in places)
    return first, second, third


def _dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0
