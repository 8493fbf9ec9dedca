"""A site's own limits, and whether a model meets them there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from services.datasets.evaluation.estimate import Estimate, Quartiles
from services.datasets.evaluation.measuring import Outcome
from services.datasets.evaluation.summary import LabelSummary, Summary
from services.errors import SettingsError

MINIMUM_CASES = 10
"""With fewer cases behind a figure it is not judged, unless the site sets another number."""


class Judgement(StrEnum):
    """What becomes of a limit; the whole is met only if every limit is."""

    MET = "met"
    NOT_MET = "not met"
    CANNOT_BE_JUDGED = "cannot be judged"


@dataclass(frozen=True)
class Limit:
    """One limit: `value` is the least or the most the figure may be."""

    subject: str
    metric: str
    value: float

    @property
    def is_most(self) -> bool:
        return self.metric in _AT_MOST or self.metric in _OF_ALL


@dataclass(frozen=True)
class Limits:
    """A site's limits file."""

    limits: tuple[Limit, ...]
    minimum_cases: int = MINIMUM_CASES


@dataclass(frozen=True)
class Verdict:
    """One limit, what was measured, and the judgement.

    Attributes:
        of: cases the figure rests on: those its truth can go wrong in, such as studies with the label for sensitivity.
        reason: why it cannot be judged; else empty.
    """

    limit: Limit
    measured: float | None
    of: int
    judgement: Judgement
    reason: str = ""


def _estimate(get: Callable[[LabelSummary], Estimate]) -> Callable[[LabelSummary], tuple[Estimate, int]]:
    return lambda label: (get(label), get(label).of)


def _rarer(get: Callable[[LabelSummary], Estimate]) -> Callable[[LabelSummary], tuple[Estimate, int]]:
    """An area under a curve is no surer than its rarer kind of study allows."""
    return lambda label: (get(label), min(label.detection.positives, label.detection.negatives))


_WITH_INTERVAL: dict[str, Callable[[LabelSummary], tuple[Estimate, int]]] = {
    "accuracy": _estimate(lambda label: label.detection.accuracy),
    "sensitivity": _estimate(lambda label: label.detection.sensitivity),
    "specificity": _estimate(lambda label: label.detection.specificity),
    "ppv": _estimate(lambda label: label.detection.ppv),
    "npv": _estimate(lambda label: label.detection.npv),
    "auc": _rarer(lambda label: label.detection.auc),
    "slice_auc": _rarer(lambda label: label.detection.slice_auc),
    "icc": _estimate(lambda label: label.volume.icc if label.volume else Estimate()),
}
"""Compared by their value, or by the lower bound of their interval with `_lower` behind the name."""


def _median(get: Callable[[LabelSummary], Quartiles]) -> Callable[[LabelSummary], tuple[float | None, int]]:
    return lambda label: (get(label).median, get(label).of)


def _bias(label: LabelSummary) -> tuple[float | None, int]:
    bias = label.volume.bland_altman.bias if label.volume else Estimate()
    return (None if bias.value is None else abs(bias.value)), bias.of


_AT_LEAST: dict[str, Callable[[LabelSummary], tuple[float | None, int]]] = {
    "lesion_f1": _median(lambda label: label.overlap.lesion_f1 if label.overlap else Quartiles()),
    "dice": _median(lambda label: label.overlap.dice if label.overlap else Quartiles()),
    "nsd": _median(lambda label: label.overlap.nsd if label.overlap else Quartiles()),
}
_AT_MOST: dict[str, Callable[[LabelSummary], tuple[float | None, int]]] = {
    "hd95_mm": _median(lambda label: label.overlap.hd95_mm if label.overlap else Quartiles()),
    "absolute_error_ml": _median(lambda label: label.volume.absolute_error_ml if label.volume else Quartiles()),
    "bias_ml": _bias,
}
"""Medians, and the size of the mean difference of volumes."""

_OF_ALL = ("max_seconds", "max_failed")
METRICS = (*_WITH_INTERVAL, *(f"{name}_lower" for name in _WITH_INTERVAL), *_AT_LEAST, *_AT_MOST)


def read_limits(path: Path, subjects: tuple[str, ...]) -> Limits:
    """Read a limits file (YAML): `{any: {sensitivity_lower: 0.9}, IPH: {icc: 0.95}, max_seconds: 30}`.

    Without `max_failed`, no study may fail.

    Args:
        subjects: ANY and the names of the card's labels.

    Raises:
        SettingsError: a line for each thing that is wrong.
    """
    content = _content(path)
    problems: list[str] = []
    limits: list[Limit] = []
    minimum = content.pop("minimum_cases", MINIMUM_CASES)
    if not _is_number(minimum) or minimum < 1 or int(minimum) != minimum:
        problems.append(f"minimum_cases = {minimum}: a whole number from 1.")
    for key, value in {"max_failed": 0, **content}.items():
        if key in _OF_ALL:
            limits += _limit("all", key, value, key, problems)
        elif key not in subjects:
            problems.append(f"{key}: unknown; there are {', '.join((*subjects, *_OF_ALL, 'minimum_cases'))}.")
        elif not isinstance(value, Mapping):
            problems.append(f"{key}: write its limits as {key}: {{sensitivity: 0.9}}.")
        else:
            for metric, number in value.items():
                limits += _limit(key, str(metric), number, f"{key}.{metric}", problems)
    if problems:
        raise SettingsError("\n".join(f"--limits {path}: {problem}" for problem in problems))
    return Limits(tuple(limits), int(minimum))


def _content(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"--limits {path}: {error.strerror}. Name a file that can be read.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"--limits {path}: this is not YAML.") from error
    if not isinstance(content, dict) or not content:
        raise SettingsError(f"--limits {path}: the file holds no limits by name.")
    return {str(key): value for key, value in content.items()}


def _limit(subject: str, metric: str, value: Any, name: str, problems: list[str]) -> list[Limit]:
    if metric not in (*METRICS, *_OF_ALL):
        problems.append(f"{name}: unknown; there are {', '.join(METRICS)}.")
        return []
    most = float("inf") if metric in _OF_ALL or metric in _AT_MOST else 1.0
    if not _is_number(value) or not 0 <= value <= most:
        problems.append(f"{name} = {value}: a number from 0{'' if most > 1 else ' to 1'}.")
        return []
    return [Limit(subject, metric, float(value))]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def judge(limits: Limits, summary: Summary) -> tuple[Verdict, ...]:
    """A verdict a limit, in the file's order."""
    return tuple(_judge(limit, summary, limits.minimum_cases) for limit in limits.limits)


def overall(verdicts: tuple[Verdict, ...]) -> Judgement:
    """NOT_MET if any is not met, else CANNOT_BE_JUDGED if any cannot, else MET."""
    found = {verdict.judgement for verdict in verdicts}
    return next(j for j in (Judgement.NOT_MET, Judgement.CANNOT_BE_JUDGED, Judgement.MET) if j in found)


def _judge(limit: Limit, summary: Summary, minimum: int) -> Verdict:
    measured, of = _measure(limit, summary)
    if limit.metric == "max_failed":
        minimum = 0  # a failure needs no statistics
    if of < minimum or measured is None:
        reason = f"{of} cases; {minimum} are needed" if of < minimum else "the cases do not allow this figure"
        return Verdict(limit, measured, of, Judgement.CANNOT_BE_JUDGED, reason)
    met = measured <= limit.value if limit.is_most else measured >= limit.value
    return Verdict(limit, measured, of, Judgement.MET if met else Judgement.NOT_MET)


def _measure(limit: Limit, summary: Summary) -> tuple[float | None, int]:
    if limit.metric == "max_seconds":
        return summary.slowest_s, summary.seconds.of
    if limit.metric == "max_failed":
        return float(summary.studies - summary.outcomes[Outcome.ANALYSED]), summary.studies
    label = summary.labels[limit.subject]
    for table in (_AT_LEAST, _AT_MOST):
        if limit.metric in table:
            return table[limit.metric](label)
    estimate, of = _WITH_INTERVAL[limit.metric.removesuffix("_lower")](label)
    return (estimate.lower if limit.metric.endswith("_lower") else estimate.value), of
