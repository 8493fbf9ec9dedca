"""How tissues look to diffusion-weighted MR and FLAIR at 3 T: usual values, and how far people differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.synthesis.noise import smooth_noise
from models.synthesis.space import Field, Space
from models.synthesis.tissue import Tissue

# Proton density, T1 ms, T2 ms, ADC in 1e-6 mm2/s. Fat is suppressed and blood flows: both give little signal.
_PROPERTIES: dict[Tissue, tuple[float, float, float, float]] = {
    Tissue.AIR: (0.0, 1000, 50, 0),
    Tissue.FAT: (0.10, 400, 60, 150),
    Tissue.SOFT: (0.45, 1100, 45, 1200),
    Tissue.BONE: (0.03, 800, 30, 300),
    Tissue.DIPLOE: (0.08, 500, 50, 400),
    Tissue.CSF: (1.0, 4200, 900, 2900),
    Tissue.VENTRICLE: (1.0, 4200, 1100, 3000),
    Tissue.LATERAL: (1.0, 4200, 1100, 3000),
    Tissue.GREY: (0.84, 1400, 96, 850),
    Tissue.WHITE: (0.70, 850, 76, 745),
    Tissue.DEEP_GREY: (0.80, 1150, 78, 770),
    Tissue.CEREBELLUM: (0.80, 1250, 88, 760),
    Tissue.BRAIN_STEM: (0.74, 1050, 80, 760),
    Tissue.DURA: (0.40, 900, 45, 900),
    Tissue.VENOUS: (0.25, 1800, 120, 2500),
    Tissue.EYE: (1.0, 3800, 700, 2700),
    Tissue.CALCIFICATION: (0.2, 900, 30, 600),
}
_SPREAD = (0.03, 0.05, 0.06, 0.04)


@dataclass(frozen=True, eq=False)
class Maps:
    """What an MR sequence acts on, on the (z, y, x) grid of `models.synthesis`.

    Attributes:
        density: of protons, 0 to 1.
        t1_ms, t2_ms: relaxation times.
        adc: 1e-6 mm2/s.
    """

    density: Field
    t1_ms: Field
    t2_ms: Field
    adc: Field


@dataclass(frozen=True)
class Variety:
    """How far a person's tissues and their scanner's field strength are from the usual ones.

    Attributes:
        spread: of the tissues' properties from person to person; 1 is the usual one.
        texture: relative spread of ADC and T2 within a tissue, over about a centimetre.
        t2, adc: factors for all tissues: T2 is longer at 1.5 T, and gradients differ.
    """

    spread: float = 1.0
    texture: float = 0.04
    t2: float = 1.0
    adc: float = 1.0


def draw_maps(space: Space, rng: np.random.Generator, variety: Variety | None = None) -> Maps:
    """One person's tissues."""
    variety = variety or Variety()
    table = np.zeros((4, len(Tissue)), np.float32)
    for tissue, values in _PROPERTIES.items():
        table[:, tissue] = [
            value * np.clip(rng.normal(1, spread * variety.spread), 0.6, 1.5)
            for value, spread in zip(values, _SPREAD, strict=True)
        ]
    density, t1, t2, adc = (row[space.anatomy.tissue] for row in table)
    uneven = [1 + variety.texture * smooth_noise(adc.shape, scale, rng) for scale in (9, 9)]
    return Maps(density, t1, t2 * uneven[0] * np.float32(variety.t2), adc * uneven[1] * np.float32(variety.adc))


def diffusion_signal(maps: Maps, *, b_value: float, echo_time_ms: float) -> Field:
    """Spin-echo signal under diffusion weighting; 1 is pure water without decay."""
    weight: NDArray[np.float32] = np.exp(-echo_time_ms / maps.t2_ms - b_value * 1e-6 * maps.adc)
    return maps.density * weight


def flair_signal(
    maps: Maps, *, echo_time_ms: float = 110, repetition_time_ms: float = 9000, inversion_time_ms: float = 2500
) -> Field:
    """Inversion-recovery signal; CSF is nulled about where its T1 says."""
    recovered = 1 - 2 * np.exp(-inversion_time_ms / maps.t1_ms) + np.exp(-repetition_time_ms / maps.t1_ms)
    signal: NDArray[np.float32] = maps.density * np.abs(recovered) * np.exp(-echo_time_ms / maps.t2_ms)
    return signal
