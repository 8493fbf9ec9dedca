"""Agreement of two ways to measure the same volumes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from services.datasets.evaluation.estimate import CONFIDENCE, UNKNOWN, Estimate

_TAIL = 0.5 + CONFIDENCE / 2
LIMIT_SDS = 1.96


def icc(ratings: NDArray[np.float64]) -> Estimate:
    """ICC(2,1): two-way random effects, absolute agreement, single measurement, with its 95 % interval.

    Args:
        ratings: (subjects, raters); None comes back for fewer than 3 subjects or subjects that do not differ.

    Source: Shrout & Fleiss, Psychol Bull 1979;86:420-428; the interval as ICC(A,1) in McGraw & Wong,
        Psychol Methods 1996;1:30-46, table 7.
    """
    n, k = ratings.shape
    if n < 3:
        return Estimate(of=n)
    mean = ratings.mean()
    rows, columns = ratings.mean(axis=1) - mean, ratings.mean(axis=0) - mean
    between = k * (rows**2).sum() / (n - 1)
    raters = n * (columns**2).sum() / (k - 1)
    error = ((ratings - mean - rows[:, None] - columns) ** 2).sum() / ((n - 1) * (k - 1))
    scale = between + (k - 1) * error + k * (raters - error) / n
    if between <= 1e-12 * (ratings**2).mean() or scale <= 0:  # subjects that differ by rounding alone do not differ
        return Estimate(of=n)
    value = (between - error) / scale
    if value >= 1 - 1e-12:
        return Estimate(1.0, of=n)  # no scatter to take an interval from
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    freedom = (a * raters + b * error) ** 2 / ((a * raters) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
    rest = k * raters + (k * n - k - n) * error
    below = f_distribution.ppf(_TAIL, n - 1, freedom)
    above = f_distribution.ppf(_TAIL, freedom, n - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        lower = n * (between - below * error) / (below * rest + n * between)
        upper = n * (above * between - error) / (rest + n * above * between)
    least = -1 / (k - 1)  # no ICC lies below; of few subjects the formulas' results may
    if not lower <= value <= upper:  # raters who contradict each other: the approximate distribution fails
        return Estimate(max(least, float(value)), of=n)
    return Estimate(max(least, float(value)), max(least, float(lower)), max(least, float(upper)), n)


@dataclass(frozen=True)
class BlandAltman:
    """Mean difference and limits of agreement, each with its 95 % interval, in the measurements' unit."""

    bias: Estimate = UNKNOWN
    lower_limit: Estimate = UNKNOWN
    upper_limit: Estimate = UNKNOWN


def bland_altman(first: NDArray[np.float64], second: NDArray[np.float64]) -> BlandAltman:
    """Bias of `second` - `first`, and the limits between which 95 % of differences lie; empty for fewer than 3 pairs.

    Source: Bland & Altman, Lancet 1986;327:307-310, with the standard error of a limit as there: sqrt(3 s^2 / n).
    """
    difference = second - first
    n = len(difference)
    if n < 3:
        return BlandAltman()
    bias, deviation = float(difference.mean()), float(difference.std(ddof=1))
    reach = float(t_distribution.ppf(_TAIL, n - 1)) * deviation / np.sqrt(n)

    def around(value: float, width: float) -> Estimate:
        return Estimate(value, float(value - width), float(value + width), n)

    return BlandAltman(
        around(bias, reach),
        around(bias - LIMIT_SDS * deviation, reach * np.sqrt(3)),
        around(bias + LIMIT_SDS * deviation, reach * np.sqrt(3)),
    )
