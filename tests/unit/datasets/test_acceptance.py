"""A site's limits: read strictly, judged as written, and never met by too few cases."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.datasets.evaluation.acceptance import METRICS, Judgement, Limits, Verdict, judge, overall, read_limits
from services.datasets.evaluation.agreement import BlandAltman
from services.datasets.evaluation.cases import ANY
from services.datasets.evaluation.estimate import Estimate, Quartiles
from services.datasets.evaluation.summary import Detection, LabelSummary, OverlapSummary, Summary, VolumeAgreement
from services.errors import SettingsError

SUBJECTS = (ANY, "blot")


def limits(tmp_path: Path, text: str) -> Limits:
    path = tmp_path / "limits.yaml"
    path.write_text(text)
    return read_limits(path, SUBJECTS)


def label(of: int = 50) -> LabelSummary:
    detection = Detection(
        of,
        of,
        *(Estimate(value, value - 0.1, value + 0.05, of) for value in (0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96)),
    )
    volume = VolumeAgreement(
        Quartiles(10, 5, 20, of),
        Quartiles(9, 4, 19, of),
        Estimate(0.97, 0.87, 0.99, of),
        BlandAltman(bias=Estimate(-1.5, -2, -1, of)),
        Quartiles(2, 1, 3, of),
    )
    overlap = OverlapSummary(
        *(Quartiles(*values, of) for values in ((0.8, 0.7, 0.9), (0.85, 0.7, 0.9), (4, 3, 5), (0.75, 0.6, 0.9)))
    )
    return LabelSummary(detection, volume, None, overlap)


def summary(of: int = 50, failed: int = 0) -> Summary:
    outcomes = {"analysed": 2 * of, "failed": failed, "truth refused": 0}
    return Summary(
        2 * of + failed, outcomes, {ANY: label(of), "blot": label(of)}, (), Quartiles(3, 2, 4, 2 * of), slowest_s=9.0
    )


VALUES = {
    "accuracy": 0.90,
    "sensitivity": 0.91,
    "specificity": 0.92,
    "ppv": 0.93,
    "npv": 0.94,
    "auc": 0.95,
    "slice_auc": 0.96,
    "icc": 0.97,
    "dice": 0.8,
    "nsd": 0.85,
    "hd95_mm": 4,
    "lesion_f1": 0.75,
    "absolute_error_ml": 2,
    "bias_ml": 1.5,
}
VALUES |= {f"{name}_lower": VALUES[name] - 0.1 for name in VALUES if f"{name}_lower" in METRICS}


def verdict(tmp_path: Path, text: str, of: Summary | None = None) -> Verdict:
    found = judge(limits(tmp_path, text), of or summary())
    return next(v for v in found if v.limit.metric != "max_failed" or "max_failed" in text)


def test_every_metric_is_tried_below() -> None:
    assert set(VALUES) == set(METRICS)


@pytest.mark.parametrize("metric", METRICS)
def test_each_metric_is_compared_with_its_own_figure(tmp_path: Path, metric: str) -> None:
    most = metric in ("hd95_mm", "absolute_error_ml", "bias_ml")
    for shift, judgement in ((-0.001, Judgement.MET), (0.001, Judgement.NOT_MET)):
        value = VALUES[metric] + (-shift if most else shift)
        found = verdict(tmp_path, f"blot: {{{metric}: {value}}}")
        assert found.measured == pytest.approx(VALUES[metric])
        assert found.judgement is judgement
        assert found.limit.is_most is most


def test_times_and_failures_are_limited_for_all_studies_together(tmp_path: Path) -> None:
    assert verdict(tmp_path, "max_seconds: 9").judgement is Judgement.MET
    assert verdict(tmp_path, "max_seconds: 8.9").judgement is Judgement.NOT_MET
    assert verdict(tmp_path, "max_failed: 2", summary(failed=2)).judgement is Judgement.MET
    assert verdict(tmp_path, "max_failed: 1", summary(failed=2)).judgement is Judgement.NOT_MET


def test_no_study_may_fail_unless_the_site_allows_it(tmp_path: Path) -> None:
    found = judge(limits(tmp_path, "any: {auc: 0.5}"), summary(failed=1))
    assert [(v.limit.metric, v.judgement) for v in found] == [
        ("max_failed", Judgement.NOT_MET),
        ("auc", Judgement.MET),
    ]


def test_few_cases_are_not_judged(tmp_path: Path) -> None:
    found = verdict(tmp_path, "any: {sensitivity: 0.5}", summary(of=9))
    assert (found.judgement, found.reason) == (Judgement.CANNOT_BE_JUDGED, "9 cases; 10 are needed")
    assert verdict(tmp_path, "minimum_cases: 9\nany: {sensitivity: 0.5}", summary(of=9)).judgement is Judgement.MET
    assert verdict(tmp_path, "any: {sensitivity: 0.5}", summary(of=10)).judgement is Judgement.MET


def test_an_auc_is_as_sure_as_its_rarer_kind(tmp_path: Path) -> None:
    whole = summary()
    rare = replace(whole.labels["blot"], detection=replace(whole.labels["blot"].detection, positives=4))
    found = verdict(tmp_path, "blot: {auc: 0.5}", replace(whole, labels={**whole.labels, "blot": rare}))
    assert (found.judgement, found.of) == (Judgement.CANNOT_BE_JUDGED, 4)


def test_a_figure_that_is_not_there_is_not_judged(tmp_path: Path) -> None:
    whole = summary()
    only_reads = replace(whole.labels["blot"], volume=None, overlap=None)
    for metric in ("icc", "icc_lower", "dice", "hd95_mm", "bias_ml"):
        found = verdict(
            tmp_path, f"blot: {{{metric}: 0.5}}", replace(whole, labels={**whole.labels, "blot": only_reads})
        )
        assert found.judgement is Judgement.CANNOT_BE_JUDGED


def test_the_whole_is_met_only_if_all_are(tmp_path: Path) -> None:
    met, unclear, failed = (
        verdict(tmp_path, "any: {auc: 0.9}"),
        verdict(tmp_path, "any: {auc: 0.9}", summary(of=3)),
        verdict(tmp_path, "any: {auc: 0.99}"),
    )
    assert overall((met, met)) is Judgement.MET
    assert overall((met, unclear)) is Judgement.CANNOT_BE_JUDGED
    assert overall((unclear, failed, met)) is Judgement.NOT_MET


def test_all_that_is_wrong_with_limits_is_said_at_once(tmp_path: Path) -> None:
    text = "blott: {auc: 1}\nblot: {aucc: 0.9, auc: 90, icc: high, dice: true}\nany: 0.9"
    text += "\nmax_seconds: -1\nminimum_cases: 2.5"
    with pytest.raises(SettingsError) as error:
        limits(tmp_path, text)
    lines = str(error.value).splitlines()
    assert len(lines) == 8
    for part in (
        "minimum_cases = 2.5: a whole number from 1.",
        "blott: unknown; there are any, blot, max_seconds, max_failed, minimum_cases.",
        "blot.aucc: unknown; there are accuracy,",
        "blot.auc = 90: a number from 0 to 1.",
        "blot.icc = high:",
        "blot.dice = True:",
        "any: write its limits as any: {sensitivity: 0.9}.",
        "max_seconds = -1: a number from 0.",
    ):
        assert any(part in line for line in lines), part


@pytest.mark.parametrize("text", ["", "- 1", "{", "text"])
def test_what_holds_no_limits_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"--limits .*limits\.yaml"):
        limits(tmp_path, text)
    with pytest.raises(SettingsError, match="No such file"):
        read_limits(tmp_path / "absent.yaml", SUBJECTS)
