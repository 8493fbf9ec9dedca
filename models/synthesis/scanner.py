"""How a CT scanner cuts a head: tilt, slice thickness and spacing, kernel, noise."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from models.errors import InvalidVolume
from models.synthesis.tissue import VOXEL_MM
from models.volume import Volume

LABEL_BITS = 4
"""Labels are below 16, so that four masks can travel with them in a byte."""


@dataclass(frozen=True)
class Acquisition:
    """How the scanner cuts the head.

    Attributes:
        step_mm: between slice centres along the table; a tuple gives uneven steps, one fewer than slices.
        thickness_mm: over which a slice averages.
        tilt_deg: gantry tilt about the patient's left-right axis. Slices then lie oblique while the table moves
            straight, so the stack is sheared, as real scanners do.
        rotation_deg: how the head lies in the scanner, about x (left), y (posterior) and z (superior).
        noise_hu: standard deviation of a 5 mm slice.
        blur_mm: standard deviation of the point spread in the plane; None for the kernel's usual one.
    """

    rows: int = 512
    columns: int = 512
    pixel_spacing_mm: float = 0.45
    slices: int = 32
    step_mm: float | tuple[float, ...] = 5.0
    thickness_mm: float = 5.0
    tilt_deg: float = 0.0
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    kernel: Literal["soft", "bone"] = "soft"
    noise_hu: float = 4.0
    blur_mm: float | None = None

    @property
    def table_mm(self) -> NDArray[np.float64]:
        """Height of each slice's centre along the table, (slices,), around 0.

        Raises:
            InvalidVolume: the steps do not fit the slices.
        """
        steps = self.step_mm if isinstance(self.step_mm, tuple) else (self.step_mm,) * (self.slices - 1)
        if len(steps) != self.slices - 1:
            raise InvalidVolume(f"{self.slices} slices have {self.slices - 1} steps between them, not {len(steps)}.")
        heights = np.concatenate([[0.0], np.cumsum(steps)])
        return np.asarray(heights - heights[-1] / 2, np.float64)


@dataclass(frozen=True, eq=False)
class Scan:
    """Slices of a head and what they show; axes (slice, row, column).

    Attributes:
        volume: LPS, inferior to superior.
        labels: bleeds where they fill at least half of a voxel.
        masks: the masks that were given along, likewise.
    """

    volume: Volume
    labels: NDArray[np.uint8]
    masks: tuple[NDArray[np.bool_], ...] = ()


def scan(
    hu: NDArray[np.float32],
    labels: NDArray[np.uint8],
    acquisition: Acquisition,
    rng: np.random.Generator,
    masks: tuple[NDArray[np.bool_], ...] = (),
) -> Scan:
    """Cut a painted head into slices.

    Args:
        hu: Hounsfield units, (z inferior to superior, y anterior to posterior, x right to left), VOXEL_MM cubes.
        labels: bleeds on the same grid.
        masks: anything else on that grid to be cut along.
    """
    a = acquisition
    tilt = np.deg2rad(a.tilt_deg)
    column_direction = np.array([0.0, np.cos(tilt), np.sin(tilt)])  # along rows index, to the back
    row_direction = np.array([1.0, 0.0, 0.0])
    normal = np.cross(row_direction, column_direction)
    corner = -((a.columns - 1) / 2) * a.pixel_spacing_mm * row_direction
    corner = corner - ((a.rows - 1) / 2) * a.pixel_spacing_mm * column_direction
    positions = corner[None] + a.table_mm[:, None] * np.array([0.0, 0.0, 1.0])[None]

    head_from_scanner = Rotation.from_euler("xyz", a.rotation_deg, degrees=True).as_matrix().T
    centre = (np.array(hu.shape[::-1]) - 1) / 2
    layers = max(1, round(a.thickness_mm / 1.3))
    offsets = (np.arange(layers) - (layers - 1) / 2) / layers * a.thickness_mm
    blur_mm = a.blur_mm or (0.54 if a.kernel == "soft" else 0.3)
    soft = ndimage.gaussian_filter(hu, (0.4, blur_mm / VOXEL_MM, blur_mm / VOXEL_MM))
    packed = labels.copy()
    for bit, mask in enumerate(masks):
        packed |= (mask.astype(np.uint8) << (LABEL_BITS + bit)).astype(np.uint8)

    voxels = np.empty((a.slices, a.rows, a.columns), np.float32)
    cut = np.empty((1 + len(masks), *voxels.shape), np.uint8)
    to_index = head_from_scanner / VOXEL_MM
    for k in range(a.slices):
        total = np.zeros((a.rows, a.columns), np.float32)
        shares = np.empty((layers, a.rows, a.columns), np.uint8)
        for layer, offset in enumerate(offsets):
            matrix, shift = _plane(to_index, positions[k] + offset * normal, row_direction, column_direction, centre, a)
            plane = (1, a.rows, a.columns)
            total += ndimage.affine_transform(soft, matrix, shift, plane, order=1, cval=-1000.0)[0]
            shares[layer] = ndimage.affine_transform(packed, matrix, shift, plane, order=0)[0]
        voxels[k] = total / layers
        cut[0, k] = _most((shares & ((1 << LABEL_BITS) - 1)).astype(np.uint8))
        for bit in range(len(masks)):
            cut[1 + bit, k] = 2 * ((shares >> (LABEL_BITS + bit)) & 1).sum(axis=0) >= layers
    voxels += _quantum_noise(voxels.shape, a, rng)
    volume = Volume(
        voxels=np.clip(np.round(voxels), -1024, 3071).astype(np.float32),
        positions_mm=positions,
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, float(column_direction[1]), float(column_direction[2])),
        spacing_mm=(a.pixel_spacing_mm, a.pixel_spacing_mm),
    )
    return Scan(volume, cut[0], tuple(mask > 0 for mask in cut[1:]))


def _most(layers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The most frequent label of each pixel where at least half of the layers bleed; (layers, rows, columns)."""
    result = np.zeros(layers.shape[1:], np.uint8)
    if not layers.any():
        return result
    counts = np.stack([(layers == value).sum(axis=0) for value in range(1, int(layers.max()) + 1)])
    bleeds = 2 * counts.sum(axis=0) >= len(layers)
    result[bleeds] = counts.argmax(axis=0)[bleeds] + 1
    return result


def _plane(
    to_index: NDArray[np.float64],
    origin_mm: NDArray[np.float64],
    row_direction: NDArray[np.float64],
    column_direction: NDArray[np.float64],
    centre: NDArray[np.float64],
    acquisition: Acquisition,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix and shift from (0, row, column) to the head's (z, y, x) index."""
    steps = np.stack(
        [np.zeros(3), column_direction * acquisition.pixel_spacing_mm, row_direction * acquisition.pixel_spacing_mm],
        axis=1,
    )
    matrix = (to_index @ steps)[::-1]
    shift = (to_index @ origin_mm + centre)[::-1]
    return np.ascontiguousarray(matrix), np.ascontiguousarray(shift)


def _quantum_noise(shape: tuple[int, ...], acquisition: Acquisition, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise with the grain of a filtered back projection; thin slices and sharp kernels are noisier."""
    grain_mm = 0.55 if acquisition.kernel == "soft" else 0.3
    sigma = grain_mm / acquisition.pixel_spacing_mm
    strength = acquisition.noise_hu * np.sqrt(5.0 / acquisition.thickness_mm)
    strength *= 2.2 if acquisition.kernel == "bone" else 1.0
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, (0, sigma, sigma)) if sigma > 0.3 else noise
    return np.asarray(noise / noise.std() * strength, np.float32)
