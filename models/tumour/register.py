"""Rigid registration of one sequence to another (SimpleITK): patients move between sequences."""

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from models.registration import steady_method
from models.volume import Vector, Volume

GRID_MM = 2.0
"""In their planes, images are compared about as finely as this."""

SHRUNK, SMOOTHED_MM = (3, 1), (4.0, 1.5)
SAMPLED = (0.25, 0.25)
BINS = 32
LEAST_MM = 0.6
"""Less movement than this is not worth another interpolation."""

FARTHEST_MM = 50.0
"""More is no patient's movement but a registration gone astray."""

STRAIGHT_MM = 1.0
"""Slices this far from an even row stand where their headers say: the comparison needs an even grid."""

HEAD_RADIUS_MM = 80.0


@dataclass(frozen=True, eq=False)
class Motion:
    """How a moving image lies to a fixed one, whose point x is at rotation @ (x - centre) + centre + shift in it.

    Attributes:
        rotation: (3, 3).
        centre, shift: (3,), LPS mm.
    """

    rotation: NDArray[np.float64]
    centre: NDArray[np.float64]
    shift: NDArray[np.float64]

    @property
    def farthest_mm(self) -> float:
        """The longest way of a point on a head around the centre, at most."""
        turned = float(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1, 1)))
        return float(np.linalg.norm(self.shift)) + 2 * HEAD_RADIUS_MM * float(np.sin(turned / 2))

    def undo(self, volume: Volume) -> Volume:
        """The moving image where the fixed one has the same anatomy; voxels as they are."""
        back = self.rotation.T

        def turned(direction: Vector) -> Vector:
            x, y, z = (float(v) for v in back @ np.array(direction))
            return x, y, z

        return replace(
            volume,
            positions_mm=(volume.positions_mm - self.centre - self.shift) @ self.rotation + self.centre,
            row_direction=turned(volume.row_direction),
            column_direction=turned(volume.column_direction),
        )


def register(moving: Volume, fixed: Volume) -> tuple[Volume, float]:
    """The moving image laid on the fixed one by turning and shifting alone.

    Where nothing better is found than what the headers say, they are believed.

    Returns:
        The image, its place changed and its voxels not, and how far a point of the head moved at most, mm.
    """
    motion = _find(moving, fixed)
    if motion is None or not LEAST_MM <= motion.farthest_mm <= FARTHEST_MM:
        return moving, 0.0
    return motion.undo(moving), motion.farthest_mm


def _find(moving: Volume, fixed: Volume) -> Motion | None:
    images = [_image(volume) for volume in (fixed, moving)]
    if images[0] is None or images[1] is None:
        return None
    size = images[0].GetSize()
    middle = images[0].TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in size])
    method = steady_method(sampled=SAMPLED, shrunk=SHRUNK, smoothed_mm=SMOOTHED_MM, step_mm=2.0, least_mm=0.02)
    method.SetMetricAsMattesMutualInformation(BINS)
    start = sitk.Euler3DTransform()
    start.SetCenter(middle)
    method.SetInitialTransform(start, inPlace=False)
    try:
        before = method.MetricEvaluate(*images)
        found = method.Execute(*images)
    except RuntimeError:  # the images hardly overlap, or hold one value alone
        return None
    if method.GetMetricValue() >= before:
        return None
    end = sitk.Euler3DTransform(found.GetBackTransform() if isinstance(found, sitk.CompositeTransform) else found)
    return Motion(np.array(end.GetMatrix()).reshape(3, 3), np.array(end.GetCenter()), np.array(end.GetTranslation()))


def _image(volume: Volume) -> sitk.Image | None:
    """For comparing, on an even grid; None where the slices are too few or stand unevenly."""
    count = len(volume.voxels)
    if count < len(SHRUNK) * 4:
        return None
    step = (volume.positions_mm[-1] - volume.positions_mm[0]) / (count - 1)
    straight = volume.positions_mm[0] + np.arange(count)[:, None] * float(step @ volume.normal) * volume.normal
    if np.abs(volume.positions_mm - straight).max() > STRAIGHT_MM:
        return None
    rows, columns = (max(1, round(GRID_MM / mm)) for mm in volume.spacing_mm)
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.voxels[:, ::rows, ::columns], np.float32))
    image.SetSpacing((volume.spacing_mm[1] * columns, volume.spacing_mm[0] * rows, float(step @ volume.normal)))
    axes = np.stack([volume.row_direction, volume.column_direction, volume.normal], axis=1)
    image.SetDirection(axes.ravel().tolist())
    image.SetOrigin(volume.positions_mm[0].tolist())
    return image
