"""The mean of differences whose cases and readers are both drawn from larger populations: a mixed model. Pure.

difference = mean + case + reader + rest, the last three independent and normal, with variances of their own. Every
difference is one reader's, so effects of case and reader that both images share have gone out of it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.datasets.evaluation.estimate import CONFIDENCE

_LEAST, _MOST = 1e-9, 1e6
"""Of a component's variance to the rest's. Below them it is nothing; at the upper end the rest is, and no fit ends."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class MixedMean:
    """The estimate, with its 95 % interval and the p of a mean of zero.

    Attributes:
        freedom: degrees of freedom of the t distribution that both rest on.
        case_variance, reader_variance, rest_variance: of the three random parts.
    """

    mean: float
    lower: float
    upper: float
    p: float
    freedom: float
    case_variance: float
    reader_variance: float
    rest_variance: float


def fit_mean(differences: Values, cases: NDArray[np.int64], readers: NDArray[np.int64]) -> MixedMean | None:
    """Fit by restricted maximum likelihood; every argument has one entry a difference.

    None for fewer than three cases or two readers, and where cases and readers explain every difference exactly.

    Source: the profiled criterion is formula 41 of Bates et al., J Stat Softw 2015;67(1); degrees of freedom after
    Satterthwaite, Biometrics Bulletin 1946;2:110-114, with the expected information of the variances.
    """
    from scipy.optimize import minimize

    parts = [_indicator(cases), _indicator(readers)]
    if parts[0].shape[1] < 3 or parts[1].shape[1] < 2 or np.ptp(differences) == 0:
        return None
    middle = float(differences.mean())
    centred = differences - middle

    def criterion(logarithms: Values) -> float:
        return _profile(np.exp(logarithms), centred, parts)[0]

    found = minimize(
        criterion,
        np.zeros(2),
        method="L-BFGS-B",
        bounds=[(math.log(_LEAST), math.log(_MOST))] * 2,
    )
    ratios = np.exp(found.x)
    if ratios.max() > 0.1 * _MOST:
        return None
    _, shift, rest, information = _profile(ratios, centred, parts)
    variances = np.array([*(ratios * rest), rest])
    error = float(np.sqrt(rest / information))
    freedom = _freedom(variances, parts)
    return _estimate(middle + shift, error, freedom, variances)


def _estimate(mean: float, error: float, freedom: float, variances: Values) -> MixedMean:
    from scipy.stats import t

    reach = float(t.ppf(0.5 + CONFIDENCE / 2, freedom)) * error
    return MixedMean(
        mean=mean,
        lower=mean - reach,
        upper=mean + reach,
        p=float(2 * t.sf(abs(mean) / error, freedom)),
        freedom=freedom,
        case_variance=float(variances[0]),
        reader_variance=float(variances[1]),
        rest_variance=float(variances[2]),
    )


def _indicator(codes: NDArray[np.int64]) -> Values:
    """Columns of 0 and 1, (differences, levels)."""
    columns: Values = (codes[:, None] == np.unique(codes)[None, :]).astype(np.float64)
    return columns


def _profile(ratios: Values, values: Values, parts: list[Values]) -> tuple[float, float, float, float]:
    """The criterion to be made small, and at these ratios the mean, the rest's variance and what is known of the mean.

    Args:
        ratios: variances of cases and of readers over the rest's.
    """
    n = len(values)
    scaled = np.hstack([np.sqrt(ratio) * part for ratio, part in zip(ratios, parts, strict=True)])
    lower = np.linalg.cholesky(scaled.T @ scaled + np.eye(scaled.shape[1]))
    of_values = np.linalg.solve(lower, scaled.T @ values)
    of_ones = np.linalg.solve(lower, scaled.sum(axis=0))
    information = float(n - of_ones @ of_ones)
    mean = float(values.sum() - of_ones @ of_values) / information
    squares = float(values @ values - of_values @ of_values - information * mean**2)
    rest = max(squares, 1e-12 * float(values @ values)) / (n - 1)
    criterion = 2 * np.log(np.diag(lower)).sum() + np.log(information) + (n - 1) * (1 + np.log(2 * np.pi * rest))
    return float(criterion), mean, rest, information


def _freedom(variances: Values, parts: list[Values]) -> float:
    n = len(parts[0])
    roots = [*parts, np.eye(n)]
    covariance = np.linalg.inv(np.sum([value * root @ root.T for value, root in zip(variances, roots, strict=True)], 0))
    of_ones = covariance.sum(axis=1)
    of_mean = 1 / of_ones.sum()
    projected = covariance - of_mean * np.outer(of_ones, of_ones)
    information = np.array([[((one.T @ projected @ other) ** 2).sum() / 2 for other in roots] for one in roots])
    slope = np.array([of_mean**2 * ((root.T @ of_ones) ** 2).sum() for root in roots])
    spread = float(slope @ np.linalg.pinv(information, rcond=1e-10) @ slope)
    return float(np.clip(2 * of_mean**2 / spread, 1, n - 1))
