"""Fit a site's calibration: what probabilities mean there, and where a finding should begin.

Figures shown are cross-validated: each study's come from a fit that never saw it. What is written is fitted to all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from models.calibration import CalibratedLabel, ModelCalibration, calibrate_all, logits
from models.card import Calibration, Card, OperatingPoint
from services.datasets.evaluation.cases import ANY
from services.datasets.evaluation.estimate import UNKNOWN, Estimate, proportion
from services.datasets.evaluation.measuring import Case, Outcome
from services.datasets.evaluation.operating_points import HIGH_SENSITIVITY, HIGH_SPECIFICITY, Targets, choose_thresholds

FOLDS = 5
MINIMUM_OF_EACH = 10
"""Studies with and without a label below which it keeps its card's values."""

_BINS = 5

Values = NDArray[np.float64]
Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class ReliabilityBin:
    """Studies of similar probability: its mean, and the share that shows the label."""

    predicted: float
    observed: float
    of: int


@dataclass(frozen=True)
class Reliability:
    """Whether probabilities mean what they say: mean squared error (Brier score), and bins of as many studies each."""

    brier: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class PointFound:
    """An operating point and what it gives, cross-validated.

    Attributes:
        point: chosen on all studies; None for ANY, which has none of its own.
        reached: its target can be reached by the probability at all; the card's smallest volume may forbid it.
    """

    name: str
    point: OperatingPoint | None
    reached: bool
    sensitivity: Estimate = UNKNOWN
    specificity: Estimate = UNKNOWN


@dataclass(frozen=True)
class LabelFit:
    """One label's calibration.

    Attributes:
        calibration: fitted on all studies, on top of the card's own; None when it was not fitted.
        reason: why it was not fitted; else empty.
        before: of the model's probabilities as they are.
        after: of the cross-validated ones.
    """

    positives: int
    negatives: int
    calibration: Calibration | None
    reason: str = ""
    before: Reliability | None = None
    after: Reliability | None = None
    points: tuple[PointFound, ...] = ()


@dataclass(frozen=True)
class CalibrationFit:
    """All labels' fits, and what raising any of them gives at each operating point (ANY)."""

    labels: dict[str, LabelFit]
    together: tuple[PointFound, ...]
    targets: Targets


@dataclass(frozen=True)
class _Data:
    """One label over all studies; `known` says where it was read."""

    probabilities: Values
    volumes_ml: Values
    truth: Truth
    known: Truth

    def of(self, chosen: Truth) -> "_Data":
        where = chosen & self.known
        return _Data(self.probabilities[where], self.volumes_ml[where], self.truth[where], self.known[where])


def fit_platt(probabilities: Values, truth: Truth) -> Calibration | None:
    """Logistic regression of truth on the logit of probability; None when suspicion does not rise with truth.

    Platt's targets, (n+ + 1) / (n+ + 2) and 1 / (n- + 2) instead of 1 and 0, keep it finite when the kinds are
    separated perfectly.

    Source: Platt, Probabilistic outputs for support vector machines, Advances in Large Margin Classifiers, 1999.
    """
    x = logits(probabilities)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    target = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(line: Values) -> tuple[float, Values]:
        z = line[0] * x + line[1]
        error = expit(z) - target
        return float((np.logaddexp(0, z) - target * z).sum()), np.array([(error * x).sum(), error.sum()])

    slope, intercept = (float(v) for v in minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x)
    return Calibration(slope=slope, intercept=intercept) if slope > 1e-6 else None


def fit_calibration(cases: Sequence[Case], card: Card, targets: Targets, *, seed: int = 0) -> CalibrationFit:
    """Fit every label that has enough studies, and say how it would have done on studies it had not seen.

    Args:
        cases: measured with candidates.
    """
    analysed = [case for case in cases if case.outcome is Outcome.ANALYSED]
    data = {label.name: _data(analysed, label.name) for label in card.labels}
    folds = _folds(analysed, seed)
    names = (HIGH_SENSITIVITY, HIGH_SPECIFICITY)
    raised = {name: np.zeros(len(analysed), bool) for name in names}
    fits = {}
    for label in card.labels:
        fit, found = _fit_label(data[label.name], label.operating_point, folds, targets)
        if fit.calibration is not None:
            own, new = label.calibration, fit.calibration
            together = Calibration(
                slope=new.slope * own.slope, intercept=new.slope * own.intercept + new.intercept
            )  # the card's own line lies under the site's
            fit = replace(fit, calibration=together)
        fits[label.name] = fit
        for name in names:
            raised[name] |= found[name]
    seen = np.array([bool(case.labels[ANY].truth) for case in analysed], bool)
    known = np.array([case.labels[ANY].truth is not None for case in analysed], bool)
    together_points = tuple(PointFound(name, None, True, *_rates(raised[name][known], seen[known])) for name in names)
    return CalibrationFit(fits, together_points, targets)


def _data(cases: Sequence[Case], name: str) -> _Data:
    measured = [case.labels[name] for case in cases]
    return _Data(
        np.array([case.candidates[name].probability for case in cases], float),
        np.array([case.candidates[name].volume_ml for case in cases], float),
        np.array([bool(m.truth) for m in measured], bool),
        np.array([m.truth is not None for m in measured], bool),
    )


def _folds(cases: Sequence[Case], seed: int) -> NDArray[np.int64]:
    """A fold a study, studies that show the same spread evenly over them."""
    order = np.random.default_rng(seed).permutation(len(cases))
    alike = sorted(order, key=lambda i: [str(m.truth) for m in cases[i].labels.values()])
    folds = np.zeros(len(cases), np.int64)
    folds[np.array(alike, np.int64)] = np.arange(len(cases)) % FOLDS
    return folds


def _fit_label(
    data: _Data, point: OperatingPoint, folds: NDArray[np.int64], targets: Targets
) -> tuple[LabelFit, dict[str, Truth]]:
    """The fit, and per operating point whether each study would have been raised by a fit that never saw it."""
    names = (HIGH_SENSITIVITY, HIGH_SPECIFICITY)
    everything = data.of(np.ones(len(folds), bool))
    positives, negatives = int(everything.truth.sum()), int((~everything.truth).sum())
    by_card = (data.probabilities >= point.probability) & (data.volumes_ml >= point.volume_ml)
    if min(positives, negatives) < MINIMUM_OF_EACH:
        reason = f"{positives} studies with it and {negatives} without; {MINIMUM_OF_EACH} of each are needed"
        return LabelFit(positives, negatives, None, reason), dict.fromkeys(names, by_card)
    whole = fit_platt(everything.probabilities, everything.truth)
    partial = [fit_platt(part.probabilities, part.truth) for part in (data.of(folds != k) for k in range(FOLDS))]
    if whole is None or None in partial:
        reason = "its probability does not rise with what experts saw"
        return LabelFit(positives, negatives, None, reason), dict.fromkeys(names, by_card)
    held_out = np.zeros(len(folds))
    raised = {name: np.zeros(len(folds), bool) for name in names}
    for k, line in enumerate(partial):
        if line is None:
            continue
        inside = data.of(folds != k)
        seen = calibrate_all(inside.probabilities, line)
        outside = folds == k
        held_out[outside] = calibrate_all(data.probabilities[outside], line)
        chosen = choose_thresholds(seen, inside.volumes_ml, inside.truth, point.volume_ml, targets)
        for name in names:
            enough = held_out[outside] >= chosen[name].probability
            raised[name][outside] = enough & (data.volumes_ml[outside] >= point.volume_ml)
    final = calibrate_all(everything.probabilities, whole)
    thresholds = choose_thresholds(final, everything.volumes_ml, everything.truth, point.volume_ml, targets)
    points = [
        PointFound(
            name,
            OperatingPoint(probability=threshold.probability, volume_ml=point.volume_ml),
            threshold.reached,
            *_rates(raised[name][data.known], everything.truth),
        )
        for name, threshold in thresholds.items()
    ]
    fit = LabelFit(
        positives,
        negatives,
        whole,
        before=_reliability(everything.probabilities, everything.truth),
        after=_reliability(held_out[data.known], everything.truth),
        points=tuple(points),
    )
    return fit, raised


def _rates(found: Truth, truth: Truth) -> tuple[Estimate, Estimate]:
    return (
        proportion(int((found & truth).sum()), int(truth.sum())),
        proportion(int((~found & ~truth).sum()), int((~truth).sum())),
    )


def _reliability(probabilities: Values, truth: Truth) -> Reliability:
    order = np.argsort(probabilities, kind="stable")
    bins = tuple(
        ReliabilityBin(float(probabilities[part].mean()), float(truth[part].mean()), len(part))
        for part in np.array_split(order, _BINS)
    )
    return Reliability(float(((probabilities - truth) ** 2).mean()), bins)


def calibration_of(fit: CalibrationFit, card: Card, fitted_on: str) -> ModelCalibration | None:
    """What is written: the labels that were fitted; None when none was."""
    labels: Mapping[str, CalibratedLabel] = {
        name: CalibratedLabel(
            calibration=label.calibration,
            operating_points={found.name: found.point for found in label.points if found.point is not None},
        )
        for name, label in fit.labels.items()
        if label.calibration is not None
    }
    if not labels:
        return None
    return ModelCalibration(
        model=card.name,
        version=card.version,
        weights_sha256=card.weights.sha256,
        use=fit.targets.use,
        fitted_on=fitted_on,
        labels=dict(labels),
    )


def without_operating_points(card: Card) -> ModelCalibration:
    """Lets the model raise every label with whatever it has, to learn of candidates below the operating point."""
    everything = OperatingPoint(probability=0, volume_ml=0)
    return ModelCalibration(
        model=card.name,
        version=card.version,
        weights_sha256=card.weights.sha256,
        use="everything",
        labels={
            label.name: CalibratedLabel(calibration=label.calibration, operating_points={"everything": everything})
            for label in card.labels
        },
    )
