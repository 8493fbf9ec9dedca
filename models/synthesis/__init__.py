"""Synthetic head CT: anatomy from formulas or label maps, bleeds that respect it, a scanner that cuts it.

Training and the demonstration studies use the same code. No score on these images is a measurement on patients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.synthesis.anatomy import draw_head
from models.synthesis.appearance import paint
from models.synthesis.bleeding import SUBTYPES, Bleed, bleed
from models.synthesis.scanner import Acquisition, scan
from models.synthesis.space import Space
from models.volume import Volume

__all__ = ["SUBTYPES", "Acquisition", "Bleed", "SyntheticHead", "synthesize_head"]


@dataclass(frozen=True, eq=False)
class SyntheticHead:
    """A scanned synthetic head and where it bleeds.

    Attributes:
        volume: HU on the acquired grid.
        labels: uint8 on the same grid: 0 none, 1 IPH, 2 IVH, 3 SDH, 4 EDH, 5 SAH.
    """

    volume: Volume
    labels: NDArray[np.uint8]


def synthesize_head(acquisition: Acquisition, bleeds: Sequence[Bleed], seed: int) -> SyntheticHead:
    """Draw a head from formulas alone, let it bleed, and scan it. The same arguments give the same head."""
    anatomy_rng, bleed_rng, paint_rng, scan_rng = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)
    )
    bled = bleed(Space.of(draw_head(anatomy_rng)), bleeds, bleed_rng, shift_share=0.0)
    scanned = scan(paint(bled, paint_rng, fresh=True), bled.labels, acquisition, scan_rng)
    return SyntheticHead(scanned.volume, scanned.labels)
