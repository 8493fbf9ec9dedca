"""The scanner: an anatomy cut into slices as an acquisition asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.errors import InvalidVolume
from models.synthesis.anatomy import Anatomy
from models.synthesis.attenuation import paint
from models.synthesis.bleeds import LABELS, Bleed, BleedLabel, grow_bleeds
from models.synthesis.procedural import draw_anatomy
from models.volume import Volume

__all__ = ["Acquisition", "Bleed", "BleedLabel", "SyntheticHead", "scan_anatomy", "synthesize_head"]


@dataclass(frozen=True)
class Acquisition:
    """How the scanner cuts the head.

    Attributes:
        rows, columns: matrix.
        pixel_spacing_mm: edge of the square pixels.
        slices: how many.
        step_mm: between slice centres along the slice normal; a tuple of slices - 1 values gives uneven steps.
        thickness_mm: of the slab each slice averages.
        tilt_deg: gantry tilt, a rotation of the slice plane about the patient's left-right axis.
        rotation_deg: how the head lies, about the x (left), y (posterior) and z (superior) axes.
        kernel: "soft" or "bone" (sharper, noisier).
        noise_hu: standard deviation of the noise in soft tissue.
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

    @property
    def offsets_mm(self) -> NDArray[np.float64]:
        """Place of each slice along the normal, (slices,), centred on the middle of the cranial cavity.

        Raises:
            InvalidVolume: the number of uneven steps is not slices - 1, or a step is not positive.
        """
        steps = (self.step_mm,) * (self.slices - 1) if isinstance(self.step_mm, int | float) else self.step_mm
        if len(steps) != self.slices - 1 or min(steps, default=1.0) <= 0:
            raise InvalidVolume(f"{self.slices} slices need {self.slices - 1} positive steps; got {len(steps)} steps.")
        offsets = np.concatenate([[0.0], np.cumsum(steps)])
        return np.asarray(offsets - offsets[-1] / 2, float)


@dataclass(frozen=True, eq=False)
class SyntheticHead:
    """A synthetic scan and its truth.

    Attributes:
        volume: HU, inferior to superior, positions sheared along the table when the gantry is tilted.
        labels: uint8 on the volume's grid: 0 none, 1 IPH, 2 IVH, 3 SDH, 4 EDH, 5 SAH.
    """

    volume: Volume
    labels: NDArray[np.uint8]


def synthesize_head(acquisition: Acquisition, bleeds: Sequence[Bleed], seed: int) -> SyntheticHead:
    """Draw a head from formulae, grow the bleeds in it, and scan it. The same arguments give the same bytes."""
    random = np.random.default_rng(seed)
    return scan_anatomy(draw_anatomy(random), acquisition, bleeds, random)


def scan_anatomy(
    anatomy: Anatomy, acquisition: Acquisition, bleeds: Sequence[Bleed], random: np.random.Generator
) -> SyntheticHead:
    """Grow bleeds in a head and scan it, supine and head first.

    Raises:
        InvalidVolume: the acquisition contradicts itself, or covers no place for one of the bleeds.
    """
    turn = _rotation(acquisition.rotation_deg)
    tilt = np.deg2rad(acquisition.tilt_deg)
    row = np.array([1.0, 0.0, 0.0])
    column = np.array([0.0, np.cos(tilt), np.sin(tilt)])
    offsets = acquisition.offsets_mm
    # The table moves along z; a slice's distance along the tilted normal is shorter than the table's way by cos(tilt).
    centres = np.outer(offsets / np.cos(tilt), [0.0, 0.0, 1.0])
    corner = -((acquisition.columns - 1) * row + (acquisition.rows - 1) * column) / 2 * acquisition.pixel_spacing_mm
    corner = corner + random.uniform(-4, 4, 3) * np.array([1.0, 1.0, 0.0])

    normal_in_head = turn.T @ np.cross(row, column)
    grid = [(np.arange(n) - c) * anatomy.spacing_mm for n, c in zip(anatomy.tissue.shape, anatomy.centre, strict=True)]
    along = (
        grid[0][:, None, None] * normal_in_head[2]
        + grid[1][None, :, None] * normal_in_head[1]
        + grid[2][None, None, :] * normal_in_head[0]
    )
    covered = anatomy.cavity & (along > offsets[0]) & (along < offsets[-1])
    grown = grow_bleeds(anatomy, tuple(bleeds), covered, random)
    hu = paint(grown, random)

    fine = max(1, int(1.0 / acquisition.pixel_spacing_mm))
    image, occupancy = _cut(hu, grown.labels, anatomy, acquisition, fine, centres + corner, row, column, turn)
    image = _texture(image, anatomy, acquisition, fine, random)
    labels = _label(occupancy, grown.labels, anatomy, acquisition, fine, offsets)
    volume = Volume(
        voxels=np.clip(image, -1024, 3071).astype(np.float32),
        positions_mm=centres + corner,
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, float(column[1]), float(column[2])),
        spacing_mm=(acquisition.pixel_spacing_mm, acquisition.pixel_spacing_mm),
    )
    return SyntheticHead(volume, labels)


def _rotation(degrees: tuple[float, float, float]) -> NDArray[np.float64]:
    """Matrix that turns the head's axes into the patient's, acting on (x, y, z)."""
    a, b, c = np.deg2rad(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def _cut(
    hu: NDArray[np.float32], labels: NDArray[np.uint8], anatomy: Anatomy, acquisition: Acquisition, fine: int,
    positions: NDArray[np.float64], row: NDArray[np.float64], column: NDArray[np.float64], turn: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Average slabs of the head on a grid `fine` times coarser than the acquisition's.

    Returns the image, axes (slice, row, column), and the share of each bleed, axes (label - 1, slice, row, column).
    """
    rows, columns = -(-acquisition.rows // fine), -(-acquisition.columns // fine)
    pitch = acquisition.pixel_spacing_mm
    samples = max(1, int(np.ceil(acquisition.thickness_mm / 1.6)))
    through = ((np.arange(samples) + 0.5) / samples - 0.5) * acquisition.thickness_mm
    normal = np.cross(row, column)
    image = np.empty((len(positions), rows, columns), np.float32)
    occupancy = np.zeros((len(LABELS), len(positions), rows, columns), np.float32)
    present = [code for code in range(1, len(LABELS) + 1) if (labels == code).any()]
    index_of = turn.T / anatomy.spacing_mm
    along_row = (np.arange(columns) * fine + (fine - 1) / 2) * pitch
    along_column = (np.arange(rows) * fine + (fine - 1) / 2) * pitch
    plane = (
        (index_of @ row)[:, None, None] * along_row[None, None, :]
        + (index_of @ column)[:, None, None] * along_column[None, :, None]
    )[::-1]
    for k, position in enumerate(positions):
        total = np.zeros((rows, columns), np.float32)
        for shift in through:
            start = (index_of @ (position + shift * normal))[::-1] + anatomy.centre
            where = plane + start[:, None, None]
            total += ndimage.map_coordinates(hu, where, order=1, mode="constant", cval=-1000.0)
            if present:
                found = ndimage.map_coordinates(labels, where, order=0, mode="constant", cval=0)
                for code in present:
                    occupancy[code - 1, k] += found == code
        image[k] = total / samples
    return image, occupancy / samples


def _texture(
    image: NDArray[np.float32], anatomy: Anatomy, acquisition: Acquisition, fine: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Beam hardening, point spread and noise; returns the image at the acquisition's own matrix."""
    pitch = acquisition.pixel_spacing_mm
    bone = np.clip(image, 0, 1500) / 1000
    strength = random.uniform(0, 5)
    for k in range(len(image)):
        # Dark and bright bands between dense bone, along the left-right direction, where much bone is in a row.
        load = ndimage.gaussian_filter1d(bone[k].sum(axis=1), 2.0) * pitch * fine / 10
        bands = ndimage.gaussian_filter1d(random.standard_normal(len(load)), 1.5) * 2
        fan = ndimage.gaussian_filter(random.standard_normal(image[k].shape).astype(np.float32), (1.2, 14)) * 8
        image[k] += (strength * np.clip(load - 2.5, 0, 4) / 2)[:, None] * (0.5 * bands[:, None] + fan)
    rows, columns = acquisition.rows, acquisition.columns
    if fine > 1:
        image = image.repeat(fine, axis=1).repeat(fine, axis=2)[:, :rows, :columns]
    blur = (0.55 if acquisition.kernel == "soft" else 0.3) / pitch
    image = ndimage.gaussian_filter(image, (0, max(blur, 0.4 * fine), max(blur, 0.4 * fine)))
    grain = 0.55 / pitch if acquisition.kernel == "soft" else 0.0
    for k in range(len(image)):
        noise = random.standard_normal(image[k].shape).astype(np.float32)
        if grain > 0.3:
            noise = ndimage.gaussian_filter(noise, grain)
            noise /= noise.std() + 1e-6
        image[k] += noise * acquisition.noise_hu * (1.8 if acquisition.kernel == "bone" else 1.0)
    return image


def _label(
    occupancy: NDArray[np.float32], grown: NDArray[np.uint8], anatomy: Anatomy, acquisition: Acquisition, fine: int,
    offsets: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """Voxels that a reader would outline: the bleed's share is at least some level near one half.

    The level is chosen per label, between 0.2 and 0.6, to keep the grown volume despite partial volume.
    """
    labels = np.zeros(occupancy.shape[1:], np.uint8)
    gaps = np.diff(offsets)
    edges = np.concatenate([gaps[:1], gaps, gaps[-1:]]) if len(gaps) else np.array([1.0, 1.0])
    voxel_mm3 = (edges[:-1] + edges[1:]) / 2 * (acquisition.pixel_spacing_mm * fine) ** 2
    best = occupancy.max(axis=0)
    winner = occupancy.argmax(axis=0)
    for code in range(1, len(LABELS) + 1):
        wanted_mm3 = float((grown == code).sum()) * anatomy.spacing_mm**3
        if wanted_mm3 == 0:
            continue
        mine = (winner == code - 1) & (best > 0)
        share = ndimage.gaussian_filter(occupancy[code - 1], (0, 0.7, 0.7))
        levels = np.linspace(0.2, 0.6, 17)
        volumes = [float(((share >= level) & mine).sum(axis=(1, 2)) @ voxel_mm3) for level in levels]
        level = levels[int(np.argmin(np.abs(np.array(volumes) - wanted_mm3)))]
        labels[mine & (share >= level)] = code
    if fine > 1:
        labels = labels.repeat(fine, axis=1).repeat(fine, axis=2)[:, : acquisition.rows, : acquisition.columns]
    return labels
