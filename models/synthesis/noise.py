"""Smooth random fields."""

from functools import cache

import numpy as np
from numpy.typing import NDArray


def smooth_noise(shape: tuple[int, ...], wavelength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A random field of mean 0 and standard deviation about 1 that varies over `wavelength` voxels."""
    coarse = tuple(max(2, int(np.ceil(n / wavelength)) + 2) for n in shape)
    field = enlarge(rng.standard_normal(coarse).astype(np.float32), shape, wavelength, float(rng.uniform()))
    return np.asarray(field / (field.std() + 1e-6), np.float32)


def enlarge(
    coarse: NDArray[np.float32], shape: tuple[int, ...], step: float, phase: float = 0.0
) -> NDArray[np.float32]:
    """Linear interpolation of a grid with `step` voxels between its points; axis by axis, so it is a few products.

    Args:
        phase: where the first voxel lies between the first two points, 0 to 1.
    """
    for axis, n in enumerate(shape):
        weights = _weights(n, coarse.shape[axis], step, round(phase, 1))
        coarse = np.moveaxis(np.tensordot(weights, coarse, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(coarse, np.float32)


@cache
def _weights(n: int, points: int, step: float, phase: float) -> NDArray[np.float32]:
    """(n, points): each row holds the shares of the two neighbouring points."""
    place = np.clip(np.arange(n) / step + phase, 0, points - 1)
    low = np.minimum(place.astype(int), points - 2) if points > 1 else np.zeros(n, int)
    weights = np.zeros((n, points), np.float32)
    weights[np.arange(n), low] = 1 - (place - low)
    if points > 1:
        weights[np.arange(n), low + 1] = place - low
    return weights
