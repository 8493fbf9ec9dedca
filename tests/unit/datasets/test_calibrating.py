"""Platt's line, the choice of operating points, and figures that no study had a hand in."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from support.labelled import load_small, small_card

from models.calibration import calibrate_card, calibrated, logits
from models.card import Calibration, Card, OperatingPoint
from services.datasets.evaluation.calibrating import (
    CalibrationFit,
    calibration_of,
    fit_calibration,
    fit_platt,
    without_operating_points,
)
from services.datasets.evaluation.cases import ANY
from services.datasets.evaluation.measuring import Candidate, Case, Measured, Outcome
from services.datasets.evaluation.operating_points import (
    HIGH_SENSITIVITY,
    HIGH_SPECIFICITY,
    Targets,
    choose_thresholds,
)

TARGETS = Targets()


def cohort(n: int = 400, *, seed: int = 1, slope: float = 0.5, stain_ml: float = 1.0) -> list[Case]:
    """Studies whose blot has the logit of the model's probability times `slope`, less 1: the model is overconfident."""
    random = np.random.default_rng(seed)
    cases = []
    for k in range(n):
        p, q = (float(v) for v in expit(random.normal(0, 2.5, 2)))
        blot = bool(random.random() < expit(slope * logits(np.array(p)) - 1))
        stain = bool(random.random() < q)
        labels = {
            ANY: Measured(blot or stain, max(p, q), False),
            "blot": Measured(blot, p, False),
            "stain": Measured(stain, q, False),
        }
        candidates = {"blot": Candidate(p, 5.0), "stain": Candidate(q, stain_ml)}
        cases.append(Case(str(k), {}, Outcome.ANALYSED, labels=labels, candidates=candidates))
    return cases


def fit(cases: list[Case], card: Card | None = None) -> CalibrationFit:
    return fit_calibration(cases, card or small_card(), TARGETS)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=4, max_size=60))
def test_platts_line_is_where_its_likelihood_is_flat(rows: list[tuple[bool, float]]) -> None:
    truth = np.array([t for t, _ in rows])
    p = np.array([p for _, p in rows])
    line = fit_platt(p, truth)
    if line is None or truth.all() or not truth.any():
        return
    target = np.where(truth, (truth.sum() + 1) / (truth.sum() + 2), 1 / ((~truth).sum() + 2))
    error = np.array([calibrated(float(v), line) for v in p]) - target
    if line != Calibration():
        assert error.sum() == pytest.approx(0, abs=1e-3)
        assert error @ logits(p) == pytest.approx(0, abs=1e-2)


def test_the_line_that_made_the_data_is_found() -> None:
    cases = cohort(1200, slope=0.5)
    line = fit(cases).labels["blot"].calibration
    assert line is not None
    assert (line.slope, line.intercept) == pytest.approx((0.5, -1.0), abs=0.2)


def test_a_perfect_separation_keeps_the_line_finite() -> None:
    line = fit_platt(np.repeat([0.2, 0.9], 20), np.repeat([False, True], 20))
    assert line is not None
    assert calibrated(0.9, line) == pytest.approx(21 / 22, abs=1e-3)
    assert calibrated(0.2, line) == pytest.approx(1 / 22, abs=1e-3)


def test_suspicion_that_falls_with_truth_makes_no_line() -> None:
    assert fit_platt(np.repeat([0.9, 0.2], 20), np.repeat([False, True], 20)) is None


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.01, 0.99)), min_size=2, max_size=40).filter(
        lambda rows: 0 < sum(t for t, _ in rows) < len(rows)
    ),
    st.sampled_from([0.5, 0.8, 0.95, 1.0]),
)
def test_thresholds_reach_their_targets_and_give_away_least(rows: list[tuple[bool, float]], target: float) -> None:
    truth, p = np.array([t for t, _ in rows]), np.array([p for _, p in rows])
    chosen = choose_thresholds(p, np.ones(len(p)), truth, 0.5, Targets(target, target))
    low, high = chosen[HIGH_SENSITIVITY].probability, chosen[HIGH_SPECIFICITY].probability
    assert chosen[HIGH_SENSITIVITY].reached
    assert chosen[HIGH_SPECIFICITY].reached
    assert low <= high
    assert (p[truth] >= low).mean() >= target
    assert (p[~truth] < high).mean() >= target
    if (p[~truth] < low).mean() >= target or (p[truth] >= high).mean() >= target:
        return  # one threshold does both: the points are the ends of that range
    higher, lower = np.unique(p[p >= low])[1:2], np.unique(p[p < high])[-1:]
    if len(higher):
        assert (p[truth] >= higher[0]).mean() < target
    if len(lower):
        assert (p[~truth] < lower[0]).mean() < target


def test_where_one_threshold_does_both_each_point_takes_its_own_end() -> None:
    p, truth = np.array([0.1, 0.3, 0.7, 0.9]), np.array([False, False, True, True])
    chosen = choose_thresholds(p, np.ones(4), truth, 0.5, Targets(0.5, 0.5))
    # Specific enough from 0.2 on, sensitive enough up to 0.8.
    assert chosen[HIGH_SENSITIVITY].probability == pytest.approx(0.2)
    assert chosen[HIGH_SPECIFICITY].probability == pytest.approx(0.8)


def test_a_volume_that_findings_do_not_reach_puts_sensitivity_out_of_reach() -> None:
    p, truth = np.array([0.1, 0.9, 0.8]), np.array([False, True, True])
    chosen = choose_thresholds(p, np.array([5.0, 5.0, 0.1]), truth, 0.5, TARGETS)
    assert (chosen[HIGH_SENSITIVITY].probability, chosen[HIGH_SENSITIVITY].reached) == (0.0, False)


def test_overconfidence_is_mended_on_studies_the_fit_never_saw() -> None:
    label = fit(cohort()).labels["blot"]
    assert label.before is not None
    assert label.after is not None
    assert label.after.brier < label.before.brier - 0.03

    def gap(bins: tuple[object, ...]) -> float:
        return float(np.mean([abs(b.predicted - b.observed) for b in bins]))  # type: ignore[attr-defined]

    assert gap(label.after.bins) < gap(label.before.bins) / 2
    assert sum(b.of for b in label.after.bins) == 400


def test_held_out_figures_promise_nothing_that_noise_gave() -> None:
    """Truth by coin: cross-validated, the point for 95 % specificity finds about what it raises in vain."""
    random = np.random.default_rng(0)
    cases = []
    for k in range(300):
        p, truth = float(random.random()), bool(random.random() < 0.5)
        labels = {name: Measured(truth, p, False) for name in (ANY, "blot", "stain")}
        candidates = {name: Candidate(p, 1.0) for name in ("blot", "stain")}
        cases.append(Case(str(k), {}, Outcome.ANALYSED, labels=labels, candidates=candidates))
    label = fit(cases).labels["blot"]
    if label.calibration is None:
        assert "does not rise" in label.reason
        return
    assert label.before is not None
    assert label.after is not None
    assert label.after.brier > 0.24
    point = next(p for p in label.points if p.name == HIGH_SPECIFICITY)
    assert point.sensitivity.value is not None
    assert point.specificity.value is not None
    assert abs(point.sensitivity.value - (1 - point.specificity.value)) < 0.1


def test_points_and_what_they_give_together() -> None:
    found = fit(cohort(800))
    for label in found.labels.values():
        sensitive, specific = label.points
        assert (sensitive.name, specific.name) == (HIGH_SENSITIVITY, HIGH_SPECIFICITY)
        assert sensitive.sensitivity.value == pytest.approx(0.95, abs=0.03)
        assert specific.specificity.value == pytest.approx(0.95, abs=0.03)
        assert sensitive.point is not None
        assert specific.point is not None
        assert sensitive.point.probability < specific.point.probability
    assert found.labels["blot"].points[0].point is not None
    assert found.labels["blot"].points[0].point.volume_ml == 0.1
    sensitive, specific = found.together
    assert sensitive.sensitivity.value is not None
    assert specific.sensitivity.value is not None
    assert sensitive.sensitivity.value > specific.sensitivity.value


def test_few_studies_leave_the_card_as_it_is() -> None:
    found = fit(cohort(12))
    assert all(label.calibration is None for label in found.labels.values())
    assert "10 of each are needed" in found.labels["blot"].reason
    assert calibration_of(found, small_card(), "12 studies") is None


def test_studies_that_were_not_read_or_failed_teach_nothing() -> None:
    cases = cohort(200)
    unread = [
        replace(case, labels={**case.labels, "blot": replace(case.labels["blot"], truth=None)})
        for case in cohort(200, seed=2)
    ]
    failed = [Case(f"f{k}", {}, Outcome.FAILED, "Broken.") for k in range(5)]
    label = fit([*cases, *unread, *failed]).labels["blot"]
    assert label.positives + label.negatives == 200
    assert label.calibration is not None
    assert fit(cases).labels["blot"].calibration is not None
    alone = fit(cases).labels["blot"].calibration
    assert alone is not None
    assert (label.calibration.slope, label.calibration.intercept) == pytest.approx((alone.slope, alone.intercept))


def test_a_line_over_the_cards_own_is_one_line() -> None:
    own = Calibration(slope=2.0, intercept=0.3)
    base = small_card()
    card = base.model_copy(
        update={"labels": tuple(label.model_copy(update={"calibration": own}) for label in base.labels)}
    )
    cases = [
        replace(
            case,
            candidates={
                name: Candidate(calibrated(candidate.probability, own), candidate.volume_ml)
                for name, candidate in case.candidates.items()
            },
        )
        for case in cohort(300)
    ]
    raw, over = fit(cohort(300)).labels["blot"].calibration, fit(cases, card).labels["blot"].calibration
    assert raw is not None
    assert over is not None
    assert (over.slope, over.intercept) == pytest.approx((raw.slope, raw.intercept), abs=0.01)


def test_what_is_written_changes_the_model_it_was_fitted_to() -> None:
    found = fit(cohort())
    written = calibration_of(found, small_card(), "400 studies")
    assert written is not None
    model = load_small("small", 1, written)
    blot, fitted = model.card.labels[0], found.labels["blot"]
    assert blot.calibration == fitted.calibration
    assert blot.operating_point == fitted.points[0].point
    assert calibrate_card(small_card(), written.model_copy(update={"use": HIGH_SPECIFICITY})).labels[
        0
    ].operating_point == (fitted.points[1].point)


def test_without_operating_points_everything_is_a_finding() -> None:
    card = calibrate_card(small_card(), without_operating_points(small_card()))
    assert all(label.operating_point == OperatingPoint(probability=0, volume_ml=0) for label in card.labels)
