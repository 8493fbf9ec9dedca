"""A figure with what it is worth: its 95 % interval and the number of cases behind it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom, binomtest

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A statistic; None where the cases do not allow it.

    Attributes:
        value: the figure itself.
        lower: lower bound of its 95 % interval.
        upper: upper bound.
        of: how many cases (studies, slices) it rests on.
    """

    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    of: int = 0


UNKNOWN = Estimate()


def proportion(part: int, whole: int) -> Estimate:
    """part / whole with Wilson's score interval, which stays honest at 0 and 1 and for small numbers.

    Source: Newcombe, Stat Med 1998;17:857-872, method 3.
    """
    if whole == 0:
        return UNKNOWN
    interval = binomtest(part, whole).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(part / whole, float(interval.low), float(interval.high), whole)


@dataclass(frozen=True)
class Quartiles:
    """Median and quartiles (linear interpolation between order statistics); None of no values."""

    median: float | None = None
    first: float | None = None
    third: float | None = None
    of: int = 0


def quartiles(values: ArrayLike) -> Quartiles:
    data = np.asarray(values, float)
    if data.size == 0:
        return Quartiles()
    first, median, third = (float(q) for q in np.quantile(data, [0.25, 0.5, 0.75]))
    return Quartiles(median, first, third, data.size)


def median(values: ArrayLike) -> Estimate:
    """The median with an interval of at least 95 % from order statistics, whatever the distribution.

    No interval for fewer than six values: then even the extremes do not reach 95 %.

    Source: Conover, Practical Nonparametric Statistics, 3rd ed. 1999, section 3.2.
    """
    data = np.sort(np.asarray(values, float))
    n = data.size
    if n == 0:
        return UNKNOWN
    below = int(binom.ppf((1 - CONFIDENCE) / 2, n, 0.5))
    middle = float(np.median(data))
    if below < 1:
        return Estimate(middle, of=n)
    return Estimate(middle, float(data[below - 1]), float(data[n - below]), n)
