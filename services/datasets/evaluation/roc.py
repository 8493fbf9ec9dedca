"""The receiver operating characteristic: its curve, the area under it, and how sure that area is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm, rankdata

from services.datasets.evaluation.estimate import CONFIDENCE, UNKNOWN, Estimate

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]

REPLICATES = 1000
_Z = float(norm.ppf(0.5 + CONFIDENCE / 2))


def auc(truth: Truth, scores: Scores) -> Estimate:
    """Area under the ROC curve with DeLong's 95 % interval.

    When DeLong's variance is zero, as it is for a perfect separation, or cannot be computed, the interval is
    Newcombe's score interval: a curve that happens to be perfect on few cases is no proof of perfection.

    Args:
        truth: (cases,).
        scores: (cases,), larger is more suspicious.

    Source: DeLong et al., Biometrics 1988;44:837-845, by ranks as in Sun & Xu, IEEE SPL 2014;21:1389-1393;
        Newcombe, Stat Med 2006;25:559-573, method 5.
    """
    positive, negative = scores[truth], scores[~truth]
    m, n = len(positive), len(negative)
    if m == 0 or n == 0:
        return Estimate(of=m + n)
    together = rankdata(np.concatenate([positive, negative]))
    # The share of the other kind that each case is ranked right against.
    of_positive = (together[:m] - rankdata(positive)) / n
    of_negative = 1 - (together[m:] - rankdata(negative)) / m
    area = float(of_positive.mean())
    variance = of_positive.var(ddof=1) / m + of_negative.var(ddof=1) / n if min(m, n) > 1 else 0.0
    if variance <= 0:
        return Estimate(area, *_score_interval(area, m, n), m + n)
    reach = _Z * float(np.sqrt(variance))
    return Estimate(area, max(0.0, area - reach), min(1.0, area + reach), m + n)


def _score_interval(area: float, m: int, n: int) -> tuple[float, float]:
    common = (m + n) / 2 - 1

    def distance(theta: float) -> float:
        variance = theta * (1 - theta) * (1 + common * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (m * n)
        return float((theta - area) ** 2 - _Z**2 * variance)

    inside = min(max(area, 1e-9), 1 - 1e-9)  # both bounds meet at 0 and at 1; the other root is the one wanted
    lower = float(brentq(distance, 0.0, inside)) if area > 0 else 0.0
    upper = float(brentq(distance, inside, 1.0)) if area < 1 else 1.0
    return lower, upper


def roc_curve(truth: Truth, scores: Scores) -> tuple[Scores, Scores]:
    """1 - specificity and sensitivity at every threshold, from (0, 0) to (1, 1); empty without both kinds."""
    if truth.all() or not truth.any():
        return np.zeros(0), np.zeros(0)
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # equal scores cross together
    hits, alarms = np.cumsum(truth[order])[last], np.cumsum(~truth[order])[last]
    return np.append(0.0, alarms / alarms[-1]), np.append(0.0, hits / hits[-1])


def clustered_auc(clusters: Sequence[tuple[Truth, Scores]], *, seed: int = 0) -> Estimate:
    """Area under the ROC curve of slices, with a percentile bootstrap over studies.

    Slices of one study resemble each other, so studies are drawn with replacement, each with all its slices.

    Args:
        clusters: a study each: (slices,) truth and scores.

    Source: Rutter, Acad Radiol 2000;7:413-419.
    """
    if not clusters:
        return UNKNOWN
    truth = np.concatenate([cluster[0] for cluster in clusters])
    scores = np.concatenate([cluster[1] for cluster in clusters]).astype(float)
    study = np.repeat(np.arange(len(clusters)), [len(cluster[0]) for cluster in clusters])
    if truth.all() or not truth.any():
        return Estimate(of=len(truth))
    order = np.argsort(scores, kind="stable")
    truth, study = truth[order], study[order]
    starts = np.append(0, np.flatnonzero(np.diff(scores[order])) + 1)
    area = _weighted_area(truth, np.ones(len(truth)), starts)
    random = np.random.default_rng(seed)
    count = len(clusters)
    areas = [
        _weighted_area(
            truth, np.bincount(random.integers(count, size=count), minlength=count)[study].astype(float), starts
        )
        for _ in range(REPLICATES if count > 1 else 0)
    ]
    drawn = np.array([value for value in areas if value is not None])
    if len(drawn) < REPLICATES / 2:  # too few studies of one kind: most draws hold none
        return Estimate(area, None, None, len(truth))
    low, high = np.quantile(drawn, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Estimate(area, float(low), float(high), len(truth))


def _weighted_area(truth: Truth, weights: NDArray[np.float64], starts: NDArray[np.int64]) -> float | None:
    """Area with a weight a case; cases sorted by score, `starts` where a new score begins. Ties count half."""
    positive = np.add.reduceat(np.where(truth, weights, 0.0), starts)
    negative = np.add.reduceat(np.where(truth, 0.0, weights), starts)
    pairs = positive.sum() * negative.sum()
    if pairs == 0:
        return None
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)
