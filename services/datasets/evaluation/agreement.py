"""Agreement of raters: on volumes (ICC, Bland-Altman) and on classes (Cohen's and Fleiss' kappa)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution
from scipy.stats import norm
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


def cohen_kappa(first: NDArray[np.int64], second: NDArray[np.int64]) -> Estimate:
    """Cohen's kappa of two raters' classes, (cases,) each, with its large-sample 95 % interval.

    No interval where the formula gives no spread (perfect agreement), nothing where both raters named one class only.

    Source: Cohen, Educ Psychol Meas 1960;20:37-46; the variance from Fleiss, Cohen & Everitt, Psychol Bull
        1969;72:323-327, formula 13.
    """
    n = len(first)
    classes = np.union1d(first, second)
    if n == 0 or len(classes) < 2:
        return Estimate(of=n)
    table = (first[:, None, None] == classes[:, None]) & (second[:, None, None] == classes[None, :])
    p = table.mean(axis=0)
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = float(np.trace(p)), float(rows @ columns)
    value = (observed - expected) / (1 - expected)
    diagonal = np.diag(p) @ (1 - (rows + columns) * (1 - value)) ** 2
    off = (p * (columns[:, None] + rows[None, :]) ** 2).sum() - np.diag(p) @ (columns + rows) ** 2
    variance = (diagonal + (1 - value) ** 2 * off - (value - expected * (1 - value)) ** 2) / (n * (1 - expected) ** 2)
    return _kappa(value, float(variance), n)


def fleiss_kappa(counts: NDArray[np.int64]) -> Estimate:
    """Fleiss' kappa of equally many ratings a case, by whomever, with its large-sample 95 % interval.

    Args:
        counts: (cases, classes), how many raters gave a case a class; every row has the same sum, at least 2.

    Source: Fleiss, Psychol Bull 1971;76:378-382; the variance for any kappa from Gwet, Educ Psychol Meas
        2021;81:781-790.
    """
    n = len(counts)
    if n < 2:
        return Estimate(of=n)
    raters = int(counts[0].sum())
    shares = counts.sum(axis=0) / counts.sum()
    expected = float(shares @ shares)
    if expected >= 1 - 1e-12:
        return Estimate(of=n)
    agreed = (counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))
    value = (float(agreed.mean()) - expected) / (1 - expected)
    by_case = (agreed - expected) / (1 - expected) - 2 * (1 - value) * (counts @ shares / raters - expected) / (
        1 - expected
    )
    variance = float(((by_case - value) ** 2).sum() / (n * (n - 1)))
    return _kappa(value, variance, n)


def _kappa(value: float, variance: float, of: int) -> Estimate:
    if variance <= 1e-12:
        return Estimate(value, of=of)
    reach = float(norm.ppf(_TAIL)) * float(np.sqrt(variance))
    return Estimate(value, max(-1.0, value - reach), min(1.0, value + reach), of)
