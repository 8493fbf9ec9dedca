"""DWI and ADC on one grid, ADC in its unit, the brain found, signal made comparable."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.ais.brain import find_brain
from models.errors import InvalidVolume
from models.resample import resample
from models.volume import Volume

BRAIN_ADC = 850.0
"""Median ADC of a brain, 1e-6 mm2/s: units are powers of ten, and no brain is ten times off."""

UNITS = {0: "1e-6 mm2/s", -3: "1e-3 mm2/s", -6: "mm2/s"}
"""log10 of a map's unit in 1e-6 mm2/s, from the values written: integers, usual decimals, SI."""

TISSUE_ADC = (450.0, 1250.0)
"""What counts as brain tissue when its usual signal is measured; neither core nor CSF."""

COIL_MM = 32.0
ALIKE = 0.97
SMALLEST_BRAIN_ML = 150.0

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Diffusion:
    """What the method looks at; everything on the DWI's grid, (slice, row, column).

    Attributes:
        volume: the DWI as acquired.
        adc: 1e-6 mm2/s; 0 where the map says nothing.
        adc_unit: that the map was written in.
        brain: brain with its CSF.
        signal: DWI over what tissue around usually has: 1 is usual, whatever the coil.
        spread: robust standard deviation of `signal` in tissue.
    """

    volume: Volume
    adc: Field
    adc_unit: str
    brain: Mask
    signal: Field
    spread: float


def prepare(dwi: Volume, adc: Volume) -> Diffusion:
    """Bring a DWI and its ADC map together.

    Raises:
        InvalidVolume: they do not overlap, are not what they are called, show no brain, or are not axial.
    """
    if abs(dwi.normal[2]) < 0.6:
        raise InvalidVolume("The DWI is not axial; this model reads axial slices.")
    map_ = np.maximum(resample(adc, dwi), 0)
    if not (map_ > 0).any():
        raise InvalidVolume("The ADC map does not lie where the DWI lies.")
    brain = find_brain(dwi)
    if dwi.measure_ml(brain) < SMALLEST_BRAIN_ML:
        raise InvalidVolume("There is no brain to be seen in the DWI.")
    known = brain & (map_ > 0)
    if known.sum() < 0.5 * brain.sum():
        raise InvalidVolume("The ADC map covers less than half of the brain in the DWI.")
    if float(np.corrcoef(map_[known], dwi.voxels[known])[0, 1]) > ALIKE:
        raise InvalidVolume("The ADC map looks like the DWI itself. Give each role its own series.")
    power = power_of(map_[known])
    map_ = np.asarray(map_ / 10.0**power, np.float32)
    signal, spread = _normalise(dwi, map_, brain)
    return Diffusion(dwi, map_, UNITS[power], brain, signal, spread)


def power_of(values: Field) -> int:
    """log10 of the unit of an ADC map in 1e-6 mm2/s, from its values in the head.

    Raises:
        InvalidVolume: no unit fits them.
    """
    power = round(float(np.log10(np.median(values) / BRAIN_ADC)))
    if power not in UNITS:
        raise InvalidVolume(f"The ADC map's median in the brain is {np.median(values):.3g}, which fits no unit of ADC.")
    return power


def _normalise(dwi: Volume, adc: Field, brain: Mask) -> tuple[Field, float]:
    """DWI over the usual signal of tissue nearby, and its spread."""
    tissue = brain & (adc > TISSUE_ADC[0]) & (adc < TISSUE_ADC[1])
    if tissue.sum() < 0.2 * brain.sum():
        raise InvalidVolume("Hardly any voxel of the brain has an ADC that tissue can have.")
    level = float(np.median(dwi.voxels[tissue]))
    # Lesions must not raise what counts as usual around them.
    usual = np.clip(dwi.voxels, 0.4 * level, 1.6 * level)
    sigma = [COIL_MM / mm for mm in (float(np.median(dwi.slab_mm)), *dwi.spacing_mm)]
    weight = ndimage.gaussian_filter(tissue.astype(np.float32), sigma, truncate=2.5)
    around = ndimage.gaussian_filter(np.where(tissue, usual, 0), sigma, truncate=2.5)
    coil = np.where(weight > 0.02, around / np.maximum(weight, 1e-6), level)
    signal = np.asarray(dwi.voxels / np.maximum(coil, 0.2 * level), np.float32)
    inside = signal[tissue]
    middle = float(np.median(inside))
    signal /= middle
    spread = 1.4826 * float(np.median(np.abs(inside / middle - 1)))
    return signal, max(spread, 0.02)
