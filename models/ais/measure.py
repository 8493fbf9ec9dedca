"""What is said of a core: side, ADC, and whether FLAIR shows it yet."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.ais.brain import find_midplane, left_of
from models.ais.core import Core
from models.ais.preprocess import Diffusion
from models.ais.territory import supply
from models.resample import index_of, place_of, resample
from models.volume import Volume

LOWEST_SHARE = 5
"""Percentile that stands for the lowest ADC: one voxel is noise."""

MISMATCH_RATIO = 1.15
"""A core less bright than this on FLAIR, over the other side, is not yet to be seen there."""

FEWEST_VOXELS = 5


def measure(images: Diffusion, core: Core, restricted_adc: float, flair: Volume | None) -> dict[str, float]:
    """Measurements of a core that is there, by the names in the card."""
    volume, mask = images.volume, core.mask
    plane = find_midplane(volume, images.brain)
    left = left_of(volume, plane)
    adc = images.adc[mask & (images.adc > 0)]
    found = {
        "lesions": float(len(core.lesions_ml)),
        "largest lesion": core.lesions_ml[0],
        "core, left": volume.measure_ml(mask & left),
        "core, right": volume.measure_ml(mask & ~left),
        **supply(images, mask, left),
        "core, ADC up to 620": volume.measure_ml(mask & (images.adc > 0) & (images.adc <= restricted_adc)),
        "mean ADC of the core": float(adc.mean()),
        "lowest ADC of the core": float(np.percentile(adc, LOWEST_SHARE)),
    }
    ratio = None if flair is None else _flair_ratio(images, mask, flair, plane)
    if ratio is not None:
        found |= {"FLAIR ratio": ratio, "DWI-FLAIR mismatch": float(ratio < MISMATCH_RATIO)}
    return found


def _flair_ratio(
    images: Diffusion, mask: NDArray[np.bool_], flair: Volume, plane: tuple[NDArray[np.float64], float]
) -> float | None:
    """FLAIR signal in the core over that at the mirrored places; None where the FLAIR or the other side is missing."""
    volume = images.volume
    signal = resample(flair, volume)
    normal, offset = plane
    core = mask & (signal > 0)
    places = place_of(volume, np.argwhere(core).T.astype(np.float64))
    mirrored = index_of(volume, places - 2 * (places @ normal - offset)[:, None] * normal)
    tissue = images.brain & ~mask & (images.adc > 0) & (images.adc < 1250)
    inside = ndimage.map_coordinates(tissue.astype(np.uint8), mirrored, order=0, mode="constant") > 0
    there = ndimage.map_coordinates(signal, mirrored, order=1)[inside]
    there = there[there > 0]
    if core.sum() < FEWEST_VOXELS or there.size < FEWEST_VOXELS:
        return None
    return float(np.median(signal[core]) / np.median(there))
