"""Whether images and answers are still what they were: population stability index of each figure. Pure.

The index (PSI) is the sum over bins of (p - q) ln(p / q), p and q the shares of recent and of reference studies; bins
are the reference's fifths, or its commonest names. By convention 0.1 is a small shift and 0.25 a large one. Among few
studies it is large by chance alone: without a shift, PSI / (1/n + 1/m) follows a chi-square distribution with one
degree of freedom less than there are bins (Yurdakul and Naranjo, 2020). A figure has drifted where its index is above
0.25 and above what chance reaches once in a thousand.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import median

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.special import chdtri

Figure = float | str
Observation = Mapping[str, Figure]
"""One study's figures by name: numbers, or words such as a scanner's name."""

FEWEST = 50
"""Studies that a reference, and what is held against it, must have."""
LARGE = 0.25
CHANCE = 0.001
BINS = 5
OTHERS = "others"


class Spread(BaseModel):
    """How a figure was distributed over some studies.

    Attributes:
        edges: of numbers, upper ends of the bins but the last; empty for words.
        names: of words, each a bin; what is none of them is in the last, OTHERS.
        counts: studies in each bin.
        middle: the median number, or the commonest word.
    """

    model_config = ConfigDict(frozen=True)

    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    counts: tuple[int, ...]
    middle: float | str

    @property
    def studies(self) -> int:
        return sum(self.counts)

    def of(self, values: Sequence[Figure]) -> tuple[int, ...]:
        """How many of some values fall into each bin."""
        if self.names:
            places = Counter(self.names.index(str(value)) if value in self.names[:-1] else -1 for value in values)
            places[len(self.names) - 1] += places.pop(-1, 0)
        else:
            places = Counter(bisect_left(self.edges, value) for value in values if not isinstance(value, str))
        return tuple(places[place] for place in range(len(self.counts)))


@dataclass(frozen=True)
class Drift:
    """One figure of recent studies against the reference.

    Attributes:
        index: PSI; limit: above which it has drifted.
        before, now: the median number, or the commonest word.
    """

    figure: str
    index: float
    limit: float
    studies: int
    before: float | str
    now: float | str

    @property
    def drifted(self) -> bool:
        return self.index > self.limit


def spreads(observations: Sequence[Observation]) -> dict[str, Spread]:
    """How each figure is distributed, of those that enough studies have."""
    found = {name: _spread(values) for name, values in _by_figure(observations).items() if len(values) >= FEWEST}
    return dict(sorted(found.items()))


def drifts(reference: Mapping[str, Spread], recent: Sequence[Observation]) -> list[Drift]:
    """Each figure against its reference, the furthest first; those that too few recent studies have are left out."""
    values = _by_figure(recent)
    found = []
    for name, spread in reference.items():
        now = values.get(name, [])
        if len(now) < FEWEST:
            continue
        counts = spread.of(now)
        middle = _spread(now).middle
        limit = limit_of(len(counts), spread.studies, sum(counts))
        found.append(Drift(name, stability_index(spread.counts, counts), limit, len(now), spread.middle, middle))
    return sorted(found, key=lambda drift: -drift.index / drift.limit)


def stability_index(before: Sequence[int], now: Sequence[int]) -> float:
    """PSI of two counts over the same bins; half a study is added to each bin, so that an empty one stays finite."""
    one, other = ([(count + 0.5) / (sum(counts) + 0.5 * len(counts)) for count in counts] for counts in (now, before))
    return sum((p - q) * log(p / q) for p, q in zip(one, other, strict=True))


def limit_of(bins: int, before: int, now: int) -> float:
    """Above which an index of so many bins and studies is a drift."""
    chance = float(chdtri(bins - 1, CHANCE)) if bins > 1 else 0.0
    return max(LARGE, (1 / before + 1 / now) * chance)


def _by_figure(observations: Sequence[Observation]) -> dict[str, list[Figure]]:
    found: dict[str, list[Figure]] = {}
    for observation in observations:
        for name, value in observation.items():
            found.setdefault(name, []).append(value)
    return found


def _spread(values: Sequence[Figure]) -> Spread:
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) == len(values):
        edges = tuple(float(edge) for edge in np.unique(np.quantile(numbers, np.arange(1, BINS) / BINS)))
        spread = Spread(edges=edges, counts=(0,) * (len(edges) + 1), middle=float(median(numbers)))
    else:
        common = Counter(str(value) for value in values).most_common(BINS - 1)
        names = (*sorted(name for name, _ in common), OTHERS)
        spread = Spread(names=names, counts=(0,) * len(names), middle=common[0][0])
    return spread.model_copy(update={"counts": spread.of(values)})
