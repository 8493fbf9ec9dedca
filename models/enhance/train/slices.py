"""Fully sampled slices to learn from: real MR volumes in every plane, label maps imaged in drawn contrasts, and shapes.

Every slice lies on a square canvas, brightest tissue near 1, and is as sharp as its pixels allow or somewhat less: real
ones are cut in k-space to a coarser grid, drawn ones imaged from a finer one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy.interpolate import PchipInterpolator
from scipy.special import expit

from models.ais.train.tissue import Maps, draw_maps
from models.enhance.kspace import resize
from models.synthesis.labelmaps import read_labelmap
from models.synthesis.noise import smooth_noise
from models.synthesis.space import Space
from models.synthesis.tissue import VOXEL_MM, Tissue

CANVAS = 224
"""Edge of a slice in pixels."""

EMPTY = 0.08
"""A slice with less head than this, as a share of its volume's fullest one, teaches nothing."""

SHAPES = 700
"""In a head of shapes."""

Slice = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RealVolume:
    """A real volume, brightest tissue 1, axes as they come."""

    voxels: NDArray[np.float32]
    zooms_mm: tuple[float, float, float]

    @classmethod
    def read(cls, path: Path) -> "RealVolume":
        image = nib.nifti1.load(path)
        voxels = normalise(np.squeeze(np.asarray(image.dataobj, np.float32)))
        x, y, z = (float(v) for v in image.header.get_zooms()[:3])
        return cls(voxels, (x, y, z))

    @cached_property
    def spline(self) -> NDArray[np.float32]:
        """The coefficients of its cubic interpolation."""
        return np.asarray(ndimage.spline_filter(self.voxels, output=np.float32))

    def quiet(self) -> "RealVolume":
        """The same with its noise smoothed away between edges: noise is what cannot be learned."""
        smooth = sitk.GradientAnisotropicDiffusion(
            sitk.GetImageFromArray(self.voxels), timeStep=0.06, conductanceParameter=1.0, numberOfIterations=4
        )
        voxels = np.asarray(sitk.GetArrayFromImage(smooth), np.float32)
        return RealVolume(voxels, self.zooms_mm)

    def draw(self, rng: np.random.Generator) -> Slice:
        """One slice of any plane and thickness, as fine as the volume or coarser, in its own contrast or another."""
        image = self._bent(rng) if rng.random() < 0.75 else self._straight(rng)
        if rng.random() < 0.6:
            image = _other_contrast(image, rng)
        if rng.random() < 0.3:
            image = image * np.exp(rng.uniform(0.1, 0.4) * _noise(image.shape, 90, rng))  # coils see what is near
        if rng.random() < 0.5:
            image = image.T
        finest = min(1.0, CANVAS / max(image.shape))
        for side in (0, 1):
            share = finest if rng.random() < 0.25 else float(rng.uniform(0.6, 1.0)) * finest
            image = resize(image, max(64, round(image.shape[side] * share)), side)
        return fit(_as_stored(image, rng))

    def _straight(self, rng: np.random.Generator) -> Slice:
        """Along the volume's own axes, of which the two finely sampled ones lie in the plane."""
        fine = min(self.zooms_mm)
        axes = [axis for axis in range(3) if all(z < 2 * fine for k, z in enumerate(self.zooms_mm) if k != axis)]
        axis = int(rng.choice(axes))
        stack = np.moveaxis(self.voxels, axis, 0)
        layers = max(1, round(float(rng.uniform(0.5, 5.5)) / self.zooms_mm[axis]))
        k = _filled_place((stack > 0.1).mean(axis=(1, 2)), layers, rng)
        return np.asarray(stack[k : k + layers].mean(axis=0), np.float32)

    def _bent(self, rng: np.random.Generator) -> Slice:
        """Turned any way and bent into a head that nobody has, through the middle half: there are few persons."""
        fine = min(self.zooms_mm)
        turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        centre = [int(rng.integers(n // 4, 3 * n // 4)) for n in self.voxels.shape]
        step = fine / np.array(self.zooms_mm)
        across = np.arange(CANVAS) - CANVAS / 2
        image = np.zeros((CANVAS, CANVAS), np.float32)
        layers = max(1, round(float(rng.uniform(0.5, 5.5)) / fine))
        bend = rng.uniform(0, 8) * ndimage.zoom(rng.standard_normal((3, 6, 6)), (1, CANVAS / 6, CANVAS / 6), order=3)
        for layer in range(layers):
            place = turn[0][:, None, None] * (layer - layers / 2)
            place = place + turn[1][:, None, None] * across[:, None] + turn[2][:, None, None] * across + bend
            place = place * step[:, None, None] + np.array(centre)[:, None, None]
            image += ndimage.map_coordinates(self.spline, place, order=3, prefilter=False) / layers
        return image


class DrawnHead:
    """A label map with one person's tissues, imaged slice by slice."""

    def __init__(self, labelmap: Path, rng: np.random.Generator) -> None:
        space = Space.of(read_labelmap(labelmap))
        self._maps = draw_maps(space, rng)
        fat = np.isin(space.anatomy.tissue, np.array([Tissue.FAT, Tissue.DIPLOE], np.uint8))
        # Their table is that of fat-suppressed sequences; most others show fat bright.
        self._maps.density[fat] *= np.float32(rng.choice([1.0, 5.0, 9.0]))

    def draw(self, rng: np.random.Generator) -> Slice:
        """One slice of any plane, thickness and contrast, with fine vessels and small lesions drawn in."""
        axis = int(rng.integers(3))
        density = np.moveaxis(self._maps.density, axis, 0)
        layers = max(1, round(float(rng.uniform(0.5, 5.5)) / VOXEL_MM))
        k = _filled_place((density > 0.05).mean(axis=(1, 2)), layers, rng)
        part = Maps(*(np.moveaxis(field, axis, 0)[k : k + layers] for field in vars(self._maps).values()))
        image = draw_contrast(part, rng).mean(axis=0)
        fine = ndimage.zoom(image / max(float(np.percentile(image, 99.5)), 1e-6), 2.5, order=0)
        head = ndimage.gaussian_filter((fine > 0.08).astype(np.float32), 2)
        fine = _details(np.asarray(fine, np.float32), head, rng)
        # A voxel of the label map is 2.5 pixels now; edges come out as sharp as 0.5 to 1 mm.
        fine = ndimage.gaussian_filter(fine, rng.uniform(0.7, 1.5))
        pixel_mm = rng.uniform(0.75, 1.3, 2)
        for side in (0, 1):
            fine = resize(fine, round(fine.shape[side] * VOXEL_MM / 2.5 / pixel_mm[side]), side)
        return fit(_as_stored(fine, rng))


def draw_shapes(rng: np.random.Generator) -> Slice:
    """A head of shapes that lie over one another, large ones few, thin ones many: edges of every size and contrast."""
    edge = 2 * CANVAS
    rows, columns = np.mgrid[:edge, :edge].astype(np.float32)
    squeeze, lean = rng.uniform(0.75, 1.3), rng.uniform(-0.1, 0.1)
    out = np.hypot((rows - edge / 2) * squeeze + lean * columns, columns - edge / 2) / (edge * rng.uniform(0.36, 0.46))
    image = np.full((edge, edge), rng.uniform(0.1, 0.9), np.float32)
    for radius in np.sort(2.0 * rng.random(SHAPES) ** -0.75)[::-1]:
        reach = min(float(radius), edge / 4)
        length, turn = reach * rng.uniform(1, 4), rng.uniform(0, np.pi)
        y, x = (int(v) for v in rng.integers(0, edge, 2))
        box = slice(max(0, y - int(length)), y + int(length) + 1), slice(max(0, x - int(length)), x + int(length) + 1)
        v, u = rows[box] - y, columns[box] - x
        along, across = np.cos(turn) * v + np.sin(turn) * u, np.cos(turn) * u - np.sin(turn) * v
        bend = across + rng.normal(0, 0.3) * along * along / length
        image[box][np.hypot(along / length, bend / reach) < 1] = rng.uniform(0.03, 1.0)
    image[out > rng.uniform(0.8, 0.9)] = rng.uniform(0.02, 0.3)
    image[out > rng.uniform(0.9, 0.96)] = rng.uniform(0.2, 1.2)
    image[out > 1] = 0
    image = np.asarray(image * (1 + rng.uniform(0, 0.06) * _noise(image.shape, rng.uniform(2, 8), rng)), np.float32)
    image = ndimage.gaussian_filter(image, rng.uniform(0.6, 1.4))
    for side in (0, 1):
        image = resize(image, round(CANVAS * rng.uniform(0.7, 1.0)), side)
    return fit(_as_stored(image, rng))


def draw_contrast(maps: Maps, rng: np.random.Generator) -> NDArray[np.float32]:
    """Signal of a T1-, T2-, PD-weighted or FLAIR sequence with times as sites choose them."""
    kind = rng.integers(5)
    if kind == 0:
        recovery, echo_time, inversion = rng.uniform(350, 750), rng.uniform(7, 18), None
    elif kind == 1:
        recovery, echo_time, inversion = rng.uniform(3000, 7000), rng.uniform(75, 125), None
    elif kind == 2:
        recovery, echo_time, inversion = rng.uniform(2200, 5000), rng.uniform(10, 35), None
    elif kind == 3:
        recovery, echo_time, inversion = 9000.0, rng.uniform(85, 130), rng.uniform(2200, 2600)
    else:
        recovery, echo_time, inversion = rng.uniform(1800, 2500), 3.0, rng.uniform(800, 1100)
    return echo(maps, recovery, echo_time, inversion)


def echo(maps: Maps, repetition_ms: float, echo_ms: float, inversion_ms: float | None) -> NDArray[np.float32]:
    """Signal of a spin echo, after an inversion or without one; 1 is pure water without decay."""
    if inversion_ms is None:
        grown = 1 - np.exp(-repetition_ms / maps.t1_ms)
    else:
        grown = np.abs(1 - 2 * np.exp(-inversion_ms / maps.t1_ms) + np.exp(-repetition_ms / maps.t1_ms))
    return np.asarray(maps.density * grown * np.exp(-echo_ms / maps.t2_ms), np.float32)


def normalise(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Nothing at 0, the brightest tissue near 1."""
    above = voxels[voxels > 0]
    return np.asarray(voxels / max(float(np.percentile(above, 99)), 1e-6), np.float32)


def _as_stored(image: Slice, rng: np.random.Generator) -> Slice:
    """As scanners and converters leave images: outer lines tapered, bright tissue saturated, grey levels few."""
    if rng.random() < 0.5:
        for side in (0, 1):
            bins = np.linspace(0, np.pi / 2, image.shape[side] // 2 + 1, dtype=np.float32)
            weight = 1 - np.float32(rng.uniform(0, 0.9)) * np.sin(bins) ** 2
            spectrum = np.moveaxis(fft.rfft(image, axis=side), side, -1) * weight
            image = np.moveaxis(fft.irfft(spectrum, image.shape[side], axis=-1), -1, side)
    if rng.random() < 0.2:
        image = np.minimum(image, rng.uniform(0.6, 1.1))
    if rng.random() < 0.2:
        image = np.asarray(np.rint(image * 200) / 200, np.float32)
    return np.asarray(np.maximum(image, 0), np.float32)


def fit(image: NDArray[np.float32]) -> Slice:
    """On the canvas, in its middle; what is beyond it is cut."""
    for side in (0, 1):
        spare = CANVAS - image.shape[side]
        if spare > 0:
            widths = [(0, 0), (0, 0)]
            widths[side] = (spare // 2, spare - spare // 2)
            image = np.pad(image, widths)
        elif spare < 0:
            image = np.take(image, range(-spare // 2, -spare // 2 + CANVAS), axis=side)
    return np.asarray(image, np.float32)


def _filled_place(filling: Sequence[float] | NDArray[np.float64], layers: int, rng: np.random.Generator) -> int:
    places = np.flatnonzero(np.asarray(filling) > EMPTY * np.max(filling))
    places = places[places <= len(filling) - layers]
    return int(rng.choice(places)) if places.size else 0


def _other_contrast(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Real structure in a contrast nobody measured: a smooth curve from brightness to brightness, nothing stays 0."""
    knots = np.array([0.0, 0.15, 0.35, 0.55, 0.75, 1.0, 2.5])
    # Noise of the air is not to be made more than it is.
    heights = np.concatenate([[0.0, rng.uniform(0.03, 0.3)], rng.uniform(0.05, 1.0, len(knots) - 2)])
    return np.asarray(PchipInterpolator(knots, heights)(np.clip(image, 0, 2.5)), np.float32)


def _details(image: Slice, head: Slice, rng: np.random.Generator) -> Slice:
    """Texture, thin curved lines as vessels and septa make them, and small round lesions, inside the head alone."""
    image = image * (1 + rng.uniform(0.01, 0.05) * _noise(image.shape, rng.uniform(1.0, 3.0), rng))
    for _ in range(int(rng.integers(0, 3))):
        ridge = _noise(image.shape, rng.uniform(8, 20), rng)
        where = np.exp(-((ridge / rng.uniform(0.03, 0.12)) ** 2)) * (_noise(image.shape, 14, rng) > 0.5)
        image = image + head * where * rng.uniform(-0.3, 0.5)
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    for _ in range(int(rng.integers(0, 6))):
        y, x = (rng.uniform(0.2, 0.8) * n for n in image.shape)
        radius = rng.uniform(2, 9)
        squeeze = rng.uniform(0.6, 1.7)
        distance = np.hypot((rows - y) * squeeze, columns - x)
        image = image + head * rng.uniform(-0.4, 0.6) * expit((radius - distance) / 0.7)
    return np.maximum(image, 0).astype(np.float32)


def _noise(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> NDArray[np.float32]:
    return np.asarray(smooth_noise((1, *shape), scale, rng)[0], np.float32)
