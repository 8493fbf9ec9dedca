"""Two versions on the same studies: what the new one gained and lost, study by study. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
from scipy import stats

from services.datasets.evaluation.cases import ANY
from services.datasets.evaluation.measuring import Case, Measured


@dataclass(frozen=True)
class LabelComparison:
    """One label over the studies that both versions analysed.

    Attributes:
        studies: with an outlined truth; dice_new, dice_old: means over them, None without any.
        p: of Wilcoxon's signed-rank test on the paired differences, two sides; None where nothing differs.
        found, lost: studies with the label whose flag is the new version's alone, or the old one's alone.
        false_gained, false_lost: the same of studies without the label.
    """

    studies: int
    dice_new: float | None
    dice_old: float | None
    p: float | None
    found: int
    lost: int
    false_gained: int
    false_lost: int


def compare(new: Sequence[Case], old: Sequence[Case], names: Sequence[str]) -> dict[str, LabelComparison]:
    """By label, ANY first.

    Args:
        new, old: the same studies, in any order; those that either version did not analyse are left out.
    """
    before: Mapping[str, Case] = {case.study: case for case in old if case.labels}
    pairs = [(case, before[case.study]) for case in new if case.labels and case.study in before]
    return {name: _label([(one.labels[name], other.labels[name]) for one, other in pairs]) for name in (ANY, *names)}


def _label(pairs: Sequence[tuple[Measured, Measured]]) -> LabelComparison:
    scored = [
        (new.overlap.dice, old.overlap.dice)
        for new, old in pairs
        if new.overlap is not None and old.overlap is not None
    ]
    differences = np.array([new - old for new, old in scored])
    flags = [(new.truth, new.found, old.found) for new, old in pairs]
    return LabelComparison(
        studies=len(scored),
        dice_new=mean(new for new, _ in scored) if scored else None,
        dice_old=mean(old for _, old in scored) if scored else None,
        p=float(stats.wilcoxon(differences).pvalue) if np.any(differences) else None,
        found=flags.count((True, True, False)),
        lost=flags.count((True, False, True)),
        false_gained=flags.count((False, True, False)),
        false_lost=flags.count((False, False, True)),
    )
