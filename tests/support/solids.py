"""Solids with a volume known from a formula, and CT series that show them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy.spatial.transform import Rotation

BLEED_HU, BRAIN_HU = 65, 35
THRESHOLD_HU = 50.0


@dataclass(frozen=True)
class Ball:
    """A ball, in millimetres before its solid is stretched and turned."""

    radius: float
    x: float = 0.0

    def contains(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = ((points - [self.x, 0, 0]) ** 2).sum(axis=-1) <= self.radius**2
        return inside

    @property
    def volume(self) -> float:
        return 4 / 3 * np.pi * self.radius**3


@dataclass(frozen=True)
class Solid:
    """What of a ball lies inside or outside another, stretched along its axes, then turned: an ellipsoid, lens or bow.

    Attributes:
        stretch: along the solid's own axes.
        turn_deg: about x, y and z (LPS).
    """

    name: str
    ball: Ball
    within: Ball | None = None
    without: Ball | None = None
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def volume_ml(self) -> float:
        volume = self.ball.volume
        if self.within is not None:
            volume = _common_volume(self.ball, self.within)
        if self.without is not None:
            volume -= _common_volume(self.ball, self.without)
        return volume * float(np.prod(self.stretch)) / 1000

    def contains(self, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether points (..., 3) around the solid's origin lie in it."""
        turned = points_mm @ Rotation.from_euler("xyz", self.turn_deg, degrees=True).as_matrix()
        own = turned / np.array(self.stretch)
        inside = self.ball.contains(own)
        if self.within is not None:
            inside &= self.within.contains(own)
        if self.without is not None:
            inside &= ~self.without.contains(own)
        return inside


def _common_volume(one: Ball, other: Ball) -> float:
    """Of two balls that cross: the sum of two caps, pi h^2 (3 r - h) / 3 each."""
    distance = abs(one.x - other.x)
    plane = (distance**2 + one.radius**2 - other.radius**2) / (2 * distance)  # from the first ball's centre
    caps = ((one.radius, one.radius - plane), (other.radius, other.radius - (distance - plane)))
    return sum(np.pi * height**2 * (3 * radius - height) / 3 for radius, height in caps)


ELLIPSOID = Solid("ellipsoid", Ball(1.0), stretch=(30.0, 22.0, 25.0), turn_deg=(20.0, 10.0, 35.0))
LENS = Solid("lens", Ball(42.0), within=Ball(42.0, 52.0), turn_deg=(0.0, 15.0, 25.0))
CRESCENT = Solid(
    "crescent", Ball(45.0), without=Ball(42.0, -13.0), stretch=(1.0, 1.1, 0.95), turn_deg=(10.0, 0.0, -20.0)
)


def paint(datasets: Sequence[Dataset], solid: Solid) -> None:
    """Show the solid, in the middle of the series, in place of the pixels: each voxel is what lies at its centre."""
    ends_mm = [_points_mm(dataset).mean(axis=(0, 1)) for dataset in (datasets[0], datasets[-1])]
    middle_mm = np.mean(ends_mm, axis=0) + np.array([0.3, -0.2, 0.1])
    for dataset in datasets:
        inside = solid.contains(_points_mm(dataset) - middle_mm)
        dataset.PixelData = np.where(inside, BLEED_HU, BRAIN_HU).astype("<i2").tobytes()


def _points_mm(dataset: Dataset) -> NDArray[np.float64]:
    """Centres of the pixels as the header places them (PS3.3 C.7.6.2.1.1), (row, column, 3)."""
    position, orientation, spacing = (
        np.array(values, float)
        for values in (dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing)
    )
    rows, columns = np.arange(dataset.Rows)[:, None, None], np.arange(dataset.Columns)[None, :, None]
    points: NDArray[np.float64] = (
        position + columns * spacing[1] * orientation[:3] + rows * spacing[0] * orientation[3:]
    )
    return points
