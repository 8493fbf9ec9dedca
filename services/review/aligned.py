"""A sequence on the slices of another: as it is where their grids agree, resampled in one frame of reference, else
registered with SimpleITK (rigid, mutual information)."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import SimpleITK
from numpy.typing import NDArray

from models.ais.preprocess import power_of
from models.dicom import read_series
from models.errors import InvalidVolume
from models.volume import Volume
from services.ledger.images import SeriesContent
from services.review.masks import SAME_VOXELS
from services.storage import Store
from services.triage.images import Images, keep

ADC_WINDOW = (1600.0, 800.0)
"""Width and level, 1e-6 mm2/s."""

_SEED = 20
_SAMPLES = 0.2


def read_aligned(store: Store, content: SeriesContent, reference: SeriesContent, drawn_on: Images) -> Images:
    """A series with its voxels where those of the reference are.

    Raises:
        InvalidVolume: it cannot be read as a volume, or not be brought onto the reference.
    """
    moving, frame = _read(store, content)
    fixed, reference_frame = _read(store, reference)
    if not same_grid(moving, fixed):
        moving = align(moving, fixed, is_registered=not frame or frame != reference_frame)
    images = keep(moving, content.modality)
    return replace(
        images,
        positions_mm=drawn_on.positions_mm,
        row_direction=drawn_on.row_direction,
        column_direction=drawn_on.column_direction,
        spacing_mm=drawn_on.spacing_mm,
    )


def in_units_of_adc(images: Images) -> Images:
    """An ADC map in 1e-6 mm2/s, whatever unit it was written in, with a window that shows brain and core apart.

    Raises:
        InvalidVolume: its values fit no unit of ADC.
    """
    values = images.voxels * np.float32(images.slope) + np.float32(images.intercept)
    known = values[values > 0]
    if not known.size:
        raise InvalidVolume("The ADC map is empty.")
    factor = 10.0 ** -power_of(known)
    return replace(images, slope=images.slope * factor, intercept=images.intercept * factor, window=ADC_WINDOW)


def same_grid(one: Volume, other: Volume) -> bool:
    """Whether two volumes have their voxels at the same places, to within a part of one."""
    if one.voxels.shape != other.voxels.shape:
        return False
    tolerance = SAME_VOXELS * min(*other.spacing_mm, float(other.slab_mm.min()))
    apart = [np.abs(_corner(one, at) - _corner(other, at)).max() for at in ((0, 0), (0, -1), (-1, 0), (-1, -1))]
    return bool(max(apart) <= tolerance)


def align(moving: Volume, fixed: Volume, *, is_registered: bool) -> Volume:
    """`moving` at the places of `fixed`'s voxels, linear between its own; its lowest value where it does not reach.

    Args:
        is_registered: find how it lies first; else one frame of reference says so.

    Raises:
        InvalidVolume: the two cannot be registered.
    """
    still, moved = _image(fixed), _image(moving)
    transform: SimpleITK.Transform = (
        _register(still, moved) if is_registered else SimpleITK.Transform(3, SimpleITK.sitkIdentity)
    )
    lowest = float(moving.voxels.min())
    found = SimpleITK.Resample(moved, still, transform, SimpleITK.sitkLinear, lowest, SimpleITK.sitkFloat32)
    return replace(fixed, voxels=SimpleITK.GetArrayFromImage(found), sources=())


def _register(fixed: SimpleITK.Image, moving: SimpleITK.Image) -> SimpleITK.Transform:
    """The rigid transform that brings two sequences of one head together, coarse to fine."""
    start = SimpleITK.CenteredTransformInitializer(
        fixed, moving, SimpleITK.Euler3DTransform(), SimpleITK.CenteredTransformInitializerFilter.MOMENTS
    )
    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=32)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(_SAMPLES, _SEED)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(learningRate=2.0, minStep=1e-3, numberOfIterations=120)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2])
    method.SetSmoothingSigmasPerLevel([2, 1])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=False)
    method.SetNumberOfThreads(1)
    try:
        found: SimpleITK.Transform = method.Execute(fixed, moving)
    except RuntimeError as error:  # its message is ITK's, about images that do not overlap
        raise InvalidVolume("This sequence cannot be registered with the one that is drawn on.") from error
    return found


def _image(volume: Volume) -> SimpleITK.Image:
    """A volume as ITK's, LPS. ITK knows no shear and no uneven steps: slices are stacked along their normal."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.voxels))
    offsets = volume.offsets_mm
    step = float(np.mean(np.diff(offsets))) if len(offsets) > 1 else 1.0
    image.SetSpacing((volume.spacing_mm[1], volume.spacing_mm[0], step))
    image.SetOrigin(tuple(float(value) for value in volume.positions_mm[0]))
    directions = np.column_stack([volume.row_direction, volume.column_direction, volume.normal])
    image.SetDirection(tuple(float(value) for value in directions.ravel()))
    return image


def _corner(volume: Volume, at: tuple[int, int]) -> NDArray[np.float64]:
    k, end = at
    size = volume.voxels.shape
    away = np.array(volume.row_direction) * volume.spacing_mm[1] * (size[2] - 1)
    away = away + np.array(volume.column_direction) * volume.spacing_mm[0] * (size[1] - 1)
    place: NDArray[np.float64] = volume.positions_mm[k] + (away if end else 0)
    return place


def _read(store: Store, content: SeriesContent) -> tuple[Volume, str]:
    """A series and its frame of reference, empty where its instances do not agree on one."""
    try:
        datasets = [pydicom.dcmread(BytesIO(store.get(each.digest))) for each in content.instances]
    except KeyError:
        raise InvalidVolume("The bytes of an instance are no longer in the store.") from None
    frames = {str(dataset.get("FrameOfReferenceUID") or "") for dataset in datasets}
    return read_series(datasets), frames.pop() if len(frames) == 1 else ""
