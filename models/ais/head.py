"""A brain laid on the mean head that the map of territories is drawn in: an affine registration (SimpleITK)."""

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from models.ais.preprocess import Diffusion, Mask
from models.registration import steady_method
from models.resample import place_of, resample
from models.volume import Volume

GRID_MM, MARGIN_MM = 4.0, 15.0
TISSUE_ADC, WATER_ADC = 1000.0, 2000.0
"""Up to the first an ADC is tissue's, from the second on water's, 1e-6 mm2/s: an infarct's is tissue's as well."""

CROWN_MM = 90.0
"""So far down from its top two brains are compared at first: below, slices may end anywhere."""

SHRUNK, SMOOTHED_MM = (3, 1), (8.0, 3.0)
SAMPLED = (1.0, 0.15)


@dataclass(frozen=True, eq=False)
class Placement:
    """How a head lies on another: its point x (LPS mm) is at matrix @ x + shift there.

    Attributes:
        matrix: (3, 3).
        shift: (3,), mm.
        likeness: correlation of the two pictures where the first one shows anything, 1 at best.
    """

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]
    likeness: float

    @property
    def stretch(self) -> NDArray[np.float64]:
        """How much longer or shorter things become along three axes, the least first."""
        return np.asarray(np.linalg.svd(self.matrix, compute_uv=False)[::-1])

    def apply(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points, (..., 3)."""
        return np.asarray(points_mm @ self.matrix.T + self.shift)


def picture(images: Diffusion) -> tuple[Volume, Mask]:
    """A brain for comparing, whatever the sequence: 1 in tissue, 0.5 in water, 0 outside; on an even, upright grid.

    Returns:
        The picture, and where the slices reach, (slice, row, column) both.
    """
    tissue = np.clip((WATER_ADC - images.adc) / (WATER_ADC - TISSUE_ADC), 0, 1) * (images.adc > 0)
    shown = np.where(images.brain, 0.5 + 0.5 * tissue, 0).astype(np.float32)
    places = place_of(images.volume, np.argwhere(images.brain).T.astype(np.float64))
    low, high = places.min(axis=0) - MARGIN_MM, places.max(axis=0) + MARGIN_MM
    columns, rows, slices = (int(n) for n in np.ceil((high - low) / GRID_MM))
    grid = Volume(
        voxels=np.zeros((slices, rows, columns), np.float32),
        positions_mm=low + np.arange(slices)[:, None] * np.array([0, 0, GRID_MM]),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(GRID_MM, GRID_MM),
    )
    reached = resample(replace(images.volume, voxels=np.ones_like(shown)), grid) > 0.5
    return replace(grid, voxels=resample(replace(images.volume, voxels=shown), grid)), reached


def align(fixed: Volume, reached: Mask, moving: Volume) -> Placement | None:
    """Where the fixed picture lies on the moving one; None where nothing fits. Both upright, LPS.

    Args:
        reached: the voxels of the fixed picture that count.
    """
    here, there = _anchor(fixed), _anchor(moving)
    start = sitk.AffineTransform(3)
    start.SetCenter(here.tolist())
    start.SetTranslation((there - here).tolist())
    method = steady_method(sampled=SAMPLED, shrunk=SHRUNK, smoothed_mm=SMOOTHED_MM, step_mm=4.0, least_mm=0.05)
    method.SetMetricAsCorrelation()
    method.SetMetricFixedMask(_image(replace(fixed, voxels=reached.astype(np.float32)), sitk.sitkUInt8))
    method.SetInitialTransform(start, inPlace=True)
    try:
        method.Execute(_image(fixed), _image(moving))
    except RuntimeError:  # the pictures hardly overlap, or hold one value alone
        return None
    matrix, centre = np.array(start.GetMatrix()).reshape(3, 3), np.array(start.GetCenter())
    shift = centre + np.array(start.GetTranslation()) - matrix @ centre
    return Placement(matrix, shift, -float(method.GetMetricValue()))


def _anchor(picture: Volume) -> NDArray[np.float64]:
    """A point that brains have in common: the middle of their upper part at its lower end, LPS mm."""
    places = place_of(picture, np.argwhere(picture.voxels > 0.25).T.astype(np.float64))
    top = float(places[:, 2].max())
    middle = places[places[:, 2] > top - CROWN_MM].mean(axis=0)
    return np.array([middle[0], middle[1], top - CROWN_MM])


def _image(volume: Volume, kind: int = sitk.sitkFloat32) -> sitk.Image:
    image: sitk.Image = sitk.Cast(sitk.GetImageFromArray(volume.voxels), kind)
    step = float(volume.offsets_mm[1] - volume.offsets_mm[0])
    image.SetSpacing((volume.spacing_mm[1], volume.spacing_mm[0], step))
    image.SetOrigin(volume.positions_mm[0].tolist())
    return image
