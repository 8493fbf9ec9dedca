"""DWI and ADC as the network wants them, its probabilities back on the acquired grid."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.ais.preprocess import Field, Mask
from models.card import Card, Preprocess
from models.engines import Engine
from models.errors import EngineFailure
from models.view import View
from models.volume import Volume

LEVEL_ADC = (600.0, 1150.0)
"""ADC of the tissue whose median DWI is 1 to the network, 1e-6 mm2/s: neither core nor CSF."""

HIGHEST_ADC = 3000.0
ADC_CENTRE, ADC_SCALE = 800.0, 800.0


def level_of(dwi: Field, adc: Field, brain: Mask) -> float:
    """The DWI's usual signal."""
    tissue = brain & (adc > LEVEL_ADC[0]) & (adc < LEVEL_ADC[1])
    return max(float(np.median(dwi[tissue if tissue.any() else brain])), 1e-6)


def cut(dwi: Field, adc: Field, level: float, view: View, settings: Preprocess) -> tuple[Field, Field]:
    """DWI over its usual signal and ADC (1e-6 mm2/s) in the network's view, each (slices, size, size), clipped."""
    low, high = settings.window
    bright = np.stack([view.cut(np.clip(plane / level, low, high)) for plane in dwi])
    water = np.stack([view.cut(np.clip(plane, 0, HIGHEST_ADC)) for plane in adc])
    return bright, water


def stack(bright: Field, water: Field, apart: int, settings: Preprocess) -> Field:
    """(slices, 6, size, size): DWI below, itself, above; ADC likewise; the edge repeats.

    Args:
        apart: from a slice to its neighbours, in slices.
    """
    order, last = np.arange(len(bright)), len(bright) - 1
    around = [np.clip(order + d, 0, last) for d in (-apart, 0, apart)]
    channels = [(bright[k] - settings.centre) / settings.scale for k in around]
    channels += [(water[k] - ADC_CENTRE) / ADC_SCALE for k in around]
    return np.stack(channels, axis=1).astype(np.float32)


def slices_apart(volume: Volume, settings: Preprocess) -> int:
    """Which neighbours a slice is seen with: the next ones, or in thin slices those about `slab_mm` away."""
    return max(1, round(settings.slab_mm / float(np.median(volume.slab_mm))))


def probabilities(engine: Engine, card: Card, volume: Volume, adc: Field, brain: Mask) -> NDArray[np.float32]:
    """Probability of core at every acquired voxel, (slice, row, column).

    Raises:
        EngineFailure: the network's answer has another shape than the question, or holds no numbers.
    """
    settings = card.preprocess
    view = View.of(volume, np.asarray(brain.any(axis=0)), size=settings.size, spacing_mm=settings.spacing_mm)
    level = level_of(volume.voxels, adc, brain)
    stacks = stack(*cut(volume.voxels, adc, level, view, settings), slices_apart(volume, settings), settings)
    result = np.zeros(volume.voxels.shape, np.float32)
    shown = np.flatnonzero(brain.any(axis=(1, 2)))
    for start in range(0, len(shown), card.batch):
        part = shown[start : start + card.batch]
        # Seen in the mirror as well: the network learned both, and errs less often the same way in both.
        planes = (_run(engine, card, stacks[part]) + _run(engine, card, stacks[part][..., ::-1])[..., ::-1]) / 2
        for k, plane in zip(part, planes, strict=True):
            result[k] = view.restore(plane)
    return result


def _run(engine: Engine, card: Card, stacks: Field) -> Field:
    """(slices, 6, size, size) to the probability of core, (slices, size, size)."""
    logits = engine.run({"slices": np.ascontiguousarray(stacks)})["logits"]
    if logits.shape[2:] != stacks.shape[2:] or len(logits) != len(stacks) or not np.isfinite(logits).all():
        raise EngineFailure(f"The network of {card.name} answered with {logits.shape}, not with its labels.")
    return np.asarray(expit(logits[:, 0]), np.float32)
