"""Registration that gives the same answer on every try, and makes way for more urgent studies (SimpleITK)."""

from collections.abc import Sequence

import SimpleITK as sitk  # noqa: N813

from models.engines.turns import step_aside

SEED = 1


def steady_method(
    *, sampled: Sequence[float], shrunk: Sequence[int], smoothed_mm: Sequence[float], step_mm: float, least_mm: float
) -> sitk.ImageRegistrationMethod:
    """A descent from coarse to fine that lacks its metric and its transform.

    Args:
        sampled: the share of the voxels that is compared at each level.
        shrunk, smoothed_mm: by how much images are coarser at each level.
        step_mm, least_mm: how far it goes at first, and where it ends.
    """
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # sums in another order would give another answer on the next try
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentagePerLevel(sampled, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=step_mm, minStep=least_mm, numberOfIterations=60, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(shrunk)
    method.SetSmoothingSigmasPerLevel(smoothed_mm)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.AddCommand(sitk.sitkIterationEvent, step_aside)
    return method
