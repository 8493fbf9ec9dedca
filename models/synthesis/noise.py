"""Smooth random fields."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def smooth_noise(shape: tuple[int, ...], wavelength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A random field of mean 0 and standard deviation about 1 that varies over `wavelength` voxels."""
    coarse = tuple(max(2, int(np.ceil(n / wavelength)) + 2) for n in shape)
    field = rng.standard_normal(coarse).astype(np.float32)
    zoom = [(n + wavelength) / (c - 1) for n, c in zip(shape, coarse, strict=True)]
    full = ndimage.zoom(field, zoom, order=1, grid_mode=False)
    full = full[tuple(slice(0, n) for n in shape)]
    if full.shape != shape:
        full = np.pad(full, [(0, n - m) for n, m in zip(shape, full.shape, strict=True)], mode="edge")
    return np.asarray(full / (full.std() + 1e-6), np.float32)
