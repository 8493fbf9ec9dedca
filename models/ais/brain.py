"""The brain in a diffusion-weighted image, and the plane between its halves. No network: signal and shape."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize

from models.resample import index_of, place_of
from models.volume import Volume

OPEN_MM, CLOSE_MM = 5.0, 9.0
"""Bridges thinner than this to eyes, nerves and scalp are cut; sulci and ventricles narrower than that are filled."""

COARSE_MM = 5.0
Mask = NDArray[np.bool_]


def find_brain(dwi: Volume) -> Mask:
    """Brain with its CSF, (slice, row, column).

    In diffusion weighting fat is suppressed and CSF dark, so brain is the large bright body.
    """
    spacing = (float(np.median(dwi.slab_mm)), *dwi.spacing_mm)
    smooth = ndimage.gaussian_filter(dwi.voxels, [0.3, *(1.2 / mm for mm in spacing[1:])])
    bright = smooth > _threshold(smooth)
    opened = _within(_within(~bright, OPEN_MM / 2, spacing, negate=True), OPEN_MM / 2, spacing)
    parts, count = ndimage.label(opened & bright)
    if count == 0:
        return np.zeros(bright.shape, np.bool_)
    body = parts == np.bincount(parts[parts > 0]).argmax()
    # Back to the rim that opening took, then closed and filled slice by slice.
    body = _within(body, OPEN_MM / 2, spacing) & bright
    closed = ~_within(~_within(body, CLOSE_MM, spacing), CLOSE_MM, spacing)
    return np.stack([ndimage.binary_fill_holes(plane) for plane in closed | body])


def _threshold(smooth: NDArray[np.float32]) -> float:
    """Otsu's threshold between background and head, then again within the head: half of what tissue has."""
    values = smooth[smooth > 0]
    if not values.size:
        return 0.0
    values = np.minimum(values, np.percentile(values, 99.5))
    foreground = values[values > _otsu(values)]
    return 0.5 * float(np.median(foreground)) if foreground.size else 0.0


def _otsu(values: NDArray[np.float32]) -> float:
    """The threshold that parts values best in two (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(centres[np.nanargmax(np.where(np.isfinite(between), between, -1))])


def _within(mask: Mask, reach_mm: float, spacing: tuple[float, ...], *, negate: bool = False) -> Mask:
    """Voxels within a distance of a mask in its plane (negate: those that are not). Slices count by themselves."""
    near = np.stack([ndimage.distance_transform_edt(~plane, sampling=spacing[1:]) <= reach_mm for plane in mask])
    return ~near if negate else near


def find_midplane(dwi: Volume, brain: Mask) -> tuple[NDArray[np.float64], float]:
    """The plane that mirrors the brain best: its unit normal, LPS, to the patient's left, and its offset in mm.

    A point p lies left of it where p @ normal > offset.
    """
    step = [max(1, round(COARSE_MM / mm)) for mm in (float(np.median(dwi.slab_mm)), *dwi.spacing_mm)]
    index = np.stack(np.meshgrid(*[np.arange(0, n, s) for n, s in zip(brain.shape, step, strict=True)], indexing="ij"))
    inside = brain[tuple(index)]
    places = place_of(dwi, index.astype(np.float64))[inside]
    centre = places.mean(axis=0)
    # Shape and broad contrast; a lesion is on one side only and must not pull.
    high = float(np.percentile(dwi.voxels[brain], 90))
    image = np.where(brain, 0.5 + 0.5 * np.clip(dwi.voxels / max(high, 1e-6), 0, 1), 0).astype(np.float32)
    image = ndimage.gaussian_filter(
        image, [COARSE_MM / 2 / mm for mm in (float(np.median(dwi.slab_mm)), *dwi.spacing_mm)]
    )
    here = ndimage.map_coordinates(image, index_of(dwi, places), order=1)

    def unlike(pose: NDArray[np.float64]) -> float:
        normal, offset = _plane(pose, centre)
        mirrored = places - 2 * (places @ normal - offset)[:, None] * normal
        there = ndimage.map_coordinates(image, index_of(dwi, mirrored), order=1)
        return float(np.abs(here - there).mean())

    start = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.1]])
    found = minimize(unlike, start[0], method="Nelder-Mead",
                     options={"initial_simplex": start, "xatol": 0.02, "fatol": 1e-5, "maxiter": 120})  # fmt: skip
    return _plane(found.x, centre)


def _plane(pose: NDArray[np.float64], centre: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """A plane from its shift (mm), yaw and roll (radians) against the sagittal one through the brain's centre."""
    shift, yaw, roll = pose
    normal = np.array([1.0, np.tan(yaw), np.tan(roll)])
    normal /= np.linalg.norm(normal)
    return normal, float(centre @ normal + shift)


def left_of(volume: Volume, plane: tuple[NDArray[np.float64], float]) -> Mask:
    """Voxels on the patient's left of a plane."""
    normal, offset = plane
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float64) for n in volume.voxels.shape], indexing="ij"))
    return np.asarray(place_of(volume, index) @ normal > offset)
