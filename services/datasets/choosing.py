"""Which studies experts should see next: at random, the most uncertain, or where two versions differ. Pure.

Foreground-aware random draws a half of them among the studies that the model marks anything in, because most studies
show nothing; of the rest predictive entropy does best in the literature, and neither beats it reliably: see
docs/performance.md for our own comparison.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

FOREGROUND_SHARE = 0.5
MOST_UNCERTAIN = 5
"""Slices whose entropy counts for a study: most slices of most studies are beyond doubt."""

MOST_OF_A_SCANNER = 0.5


class Strategy(StrEnum):
    """How studies are chosen."""

    RANDOM = "random"
    ENTROPY = "entropy"
    DISAGREEMENT = "disagreement"


@dataclass(frozen=True)
class Candidate:
    """An answer that nobody corrects yet; no patient data.

    Attributes:
        patient: a key of the patient's, the same in all their studies.
        marks: whether the model marks anything.
        entropy: `predictive_entropy` of the answer, bits.
        disagreement: one less the overlap of two versions' answers; None where one version answered.
        unfit: why the images are not worth an expert's time; None: nothing is known against them.
    """

    analysis_id: int
    patient: str
    scanner: str
    marks: bool
    entropy: float
    disagreement: float | None = None
    unfit: str | None = None


def choose(
    candidates: Sequence[Candidate],
    strategy: Strategy,
    count: int,
    *,
    seed: int = 0,
    may: Callable[[Candidate], bool] = lambda _: True,
) -> list[Candidate]:
    """At most `count` candidates, the first to be looked at first.

    Quality: none that is unfit. Diversity: one study a patient, and no more than a half from one scanner while others
    have any left.

    Args:
        may: asked of a candidate whose turn it is, and once alone: what takes too long to find out of every one.
    """
    fit = [each for each in candidates if each.unfit is None]
    ordered = _ordered(fit, strategy, np.random.default_rng(seed))
    most = max(1, math.ceil(MOST_OF_A_SCANNER * count))
    chosen: list[Candidate] = []
    scanners: Counter[str] = Counter()
    patients: set[str] = set()
    refused: set[int] = set()
    for limit in (most, count):
        for each in ordered:
            if len(chosen) < count and each.patient not in patients and scanners[each.scanner] < limit:
                if each.analysis_id in refused or not may(each):
                    refused.add(each.analysis_id)
                    continue
                chosen.append(each)
                patients.add(each.patient)
                scanners[each.scanner] += 1
    return chosen


def predictive_entropy(slice_probabilities: Mapping[str, Sequence[float]]) -> float:
    """Entropy of the labels' probabilities, summed over labels, bits; mean of the most uncertain slices of a study.

    Args:
        slice_probabilities: by label, of every slice.
    """
    if not slice_probabilities:
        return 0.0
    p = np.clip(np.array(list(slice_probabilities.values()), float), 1e-9, 1 - 1e-9)
    bits = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).sum(axis=0)
    return float(np.sort(bits)[-MOST_UNCERTAIN:].mean()) if bits.size else 0.0


def disagreement(overlaps: Iterable[float | None]) -> float:
    """One less the mean Dice of two versions over the labels that either marks; 0 where neither marks any."""
    known = [dice for dice in overlaps if dice is not None]
    return 1 - sum(known) / len(known) if known else 0.0


def _ordered(candidates: list[Candidate], strategy: Strategy, rng: np.random.Generator) -> list[Candidate]:
    shuffled = [candidates[k] for k in rng.permutation(len(candidates))]
    if strategy is Strategy.ENTROPY:
        return sorted(shuffled, key=lambda each: -each.entropy)
    if strategy is Strategy.DISAGREEMENT:
        known = [each for each in shuffled if each.disagreement is not None]
        return sorted(known, key=lambda each: -(each.disagreement or 0.0))
    marked = [each for each in shuffled if each.marks]
    others = [each for each in shuffled if not each.marks]
    ordered = []
    while marked or others:
        source = marked if marked and (not others or rng.random() < FOREGROUND_SHARE) else others
        ordered.append(source.pop())
    return ordered
