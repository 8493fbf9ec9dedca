"""A network over an image larger than its window: tiles that overlap, blended by a Gaussian.

Source: Isensee et al., nnU-Net, Nature Methods 18, 2021 (even steps, importance by a Gaussian of an eighth of the
window).
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Network = Callable[[Array], Array]
"""(windows, channels, *window) to (windows, answers, *window)."""
Window = tuple[int, int, int]
SIGMA = 1 / 8


def run_windows(
    image: Array,
    network: Network,
    *,
    window: Window,
    overlap: float = 0.5,
    batch: int = 1,
    occupied: NDArray[np.bool_] | None = None,
    mirror: Sequence[int] = (),
) -> tuple[Array, NDArray[np.bool_]]:
    """The network's answer everywhere.

    Args:
        image: (channels, axis, axis, axis); one smaller than the window is padded with zeros.
        overlap: share of a window that the next one covers as well.
        batch: windows in one call.
        occupied: (axis, axis, axis); windows without such a voxel are not looked at.
        mirror: spatial axes; every combination of them is asked mirrored as well, and the mean taken.

    Returns:
        (answers, axis, axis, axis), blended, and where any window looked; elsewhere the answers are zero.
    """
    shape = image.shape[1:]
    padding = [(max(0, w - n) // 2, max(0, w - n) - max(0, w - n) // 2) for n, w in zip(shape, window, strict=True)]
    padded = np.pad(image, [(0, 0), *padding])
    seen = None if occupied is None else np.pad(occupied, padding)
    places = [place for place in tiles(padded.shape[1:], window, overlap) if seen is None or seen[place].any()]
    weight = importance(window)
    total: Array | None = None
    weights = np.zeros(padded.shape[1:], np.float32)
    for start in range(0, len(places), batch):
        some = places[start : start + batch]
        answers = _ask(network, np.stack([padded[(slice(None), *place)] for place in some]), mirror)
        if total is None:
            total = np.zeros((answers.shape[1], *padded.shape[1:]), np.float32)
        for place, answer in zip(some, answers, strict=True):
            total[(slice(None), *place)] += answer * weight
            weights[place] += weight
    inside = tuple(slice(low, low + n) for (low, _), n in zip(padding, shape, strict=True))
    covered = weights[inside] > 0
    if total is None:
        return np.zeros((0, *shape), np.float32), covered
    result = total[(slice(None), *inside)]
    np.divide(result, weights[inside], out=result, where=covered)
    return result, covered


def tiles(shape: Sequence[int], window: Window, overlap: float) -> Iterator[tuple[slice, ...]]:
    """Windows in even steps that cover the image, the last flush with its end."""
    for corner in product(*(starts(n, w, overlap) for n, w in zip(shape, window, strict=True))):
        yield tuple(slice(start, start + w) for start, w in zip(corner, window, strict=True))


def starts(size: int, window: int, overlap: float) -> list[int]:
    """First voxels of the windows along one axis; `size` is at least `window`."""
    room = size - window
    step = max(1.0, window * (1 - overlap))
    count = int(np.ceil(room / step)) + 1
    return [round(place) for place in np.linspace(0, room, count)]


def importance(window: Window) -> Array:
    """How much a window's voxels count: most in its middle, never nothing."""
    axes = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n * SIGMA)) ** 2) for n in window]
    weight = np.einsum("i,j,k->ijk", *axes)
    return np.asarray(np.maximum(weight / weight.max(), 1e-3), np.float32)


def _ask(network: Network, windows: Array, mirror: Sequence[int]) -> Array:
    choices = product(*((False, True) for _ in mirror))
    flips = [tuple(axis + 2 for axis, flip in zip(mirror, choice, strict=True) if flip) for choice in choices]
    answers = [np.flip(network(np.ascontiguousarray(np.flip(windows, flip))), flip) for flip in flips]
    return answers[0] if len(answers) == 1 else np.mean(answers, axis=0, dtype=np.float32)
