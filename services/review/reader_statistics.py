"""What a reader study found: every arm against the reference, by question, and how well its readers agree. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.datasets.evaluation.estimate import CONFIDENCE, Estimate
from services.ledger.reader_studies import Design, Preference, Rating, ReaderStudy
from services.review.mixed_model import MixedMean, fit_mean
from services.review.reader_study import POINTS, QUESTIONS


@dataclass(frozen=True)
class Reading:
    """One reader's answer to one question on one case: the arm less the reference; of single images both scores too."""

    case: str
    reader: str
    difference: float
    reference: float | None = None
    arm: float | None = None


@dataclass(frozen=True)
class Comparison:
    """One question: an arm against the reference, over the cases that somebody rated both in.

    Attributes:
        reference, mean: of each arm's scores, a case counting once; None of pairs, which are rated as such.
        difference: arm less reference, with Student's 95 % interval over cases, a case counting once.
        p: of Wilcoxon's signed-rank test of the cases' differences; None where none differs or there are too few.
        mixed: over cases and readers, both random; None for one reader or few cases.
        lower, upper: the interval that decides: the mixed model's where it could be fitted, else Student's.
        non_inferior: whether it lies above minus the margin; None without an interval.
        superior: whether it lies above zero.
    """

    question: str
    arm: str
    reference: float | None
    mean: float | None
    difference: Estimate
    p: float | None
    mixed: MixedMean | None
    lower: float | None
    upper: float | None
    non_inferior: bool | None
    superior: bool | None


@dataclass(frozen=True)
class Distribution:
    """How often each point of the scale was given, in the scale's order."""

    question: str
    arm: str
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Results:
    """Attributes:
    agreement: ICC(2,1) of single scores by question, over what every reader rated.
    """

    readers: int
    cases: int
    ratings: int
    comparisons: tuple[Comparison, ...]
    distributions: tuple[Distribution, ...]
    agreement: dict[str, Estimate]


def summarise(study: ReaderStudy, given: Sequence[Rating] | Sequence[Preference]) -> Results:
    """Everything that is shown of a closed reader study."""
    from services.datasets.evaluation.agreement import icc  # scipy.stats takes a second, and every part imports this

    points = POINTS[study.design]
    arms = study.arms if study.design is Design.SINGLE else study.arms[1:]
    distributions = []
    for question in QUESTIONS:
        for arm in arms:
            counts = Counter(each.scores[question] for each in given if each.arm == arm)
            distributions.append(Distribution(question, arm, tuple(counts[point] for point in points)))
    return Results(
        readers=len({each.account for each in given}),
        cases=len({each.study_uid for each in given}),
        ratings=len(given),
        comparisons=tuple(compare(given, study.arms, study.margin)),
        distributions=tuple(distributions),
        agreement={question: icc(_by_reader(given, question)) for question in QUESTIONS},
    )


def compare(given: Sequence[Rating] | Sequence[Preference], arms: Sequence[str], margin: float) -> list[Comparison]:
    """Every question and arm against the first arm; those that no case was rated in are left out."""
    found = []
    for question in QUESTIONS:
        for arm in arms[1:]:
            readings = list(_readings(given, question, arms[0], arm))
            if readings:
                found.append(_compare(question, arm, readings, margin))
    return found


def _readings(given: Iterable[Rating | Preference], question: str, reference: str, arm: str) -> Iterator[Reading]:
    singles: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for each in given:
        if isinstance(each, Preference):
            if each.arm == arm:
                yield Reading(each.study_uid, each.account, each.scores[question])
        else:
            singles[each.study_uid, each.account][each.arm] = each.scores[question]
    for (case, reader), scores in singles.items():
        if reference in scores and arm in scores:
            yield Reading(case, reader, scores[arm] - scores[reference], scores[reference], scores[arm])


def _compare(question: str, arm: str, readings: list[Reading], margin: float) -> Comparison:
    """Source: the intervals are Student's over cases, and the mixed model's; Wilcoxon, Biometrics Bulletin
    1945;1:80-83. Non-inferiority as in CONSORT's extension: the whole interval above minus the margin (Piaggio et al.,
    JAMA 2012;308:2594-2604).
    """
    from scipy.stats import t, wilcoxon

    differences = _by_case(readings, [reading.difference for reading in readings])
    n, mean = len(differences), float(differences.mean())
    difference = Estimate(mean, of=n)
    if n >= 3:
        reach = float(t.ppf(0.5 + CONFIDENCE / 2, n - 1) * differences.std(ddof=1) / np.sqrt(n))
        difference = Estimate(mean, mean - reach, mean + reach, n)
    mixed = fit_mean(
        np.array([reading.difference for reading in readings], float),
        _codes([reading.case for reading in readings]),
        _codes([reading.reader for reading in readings]),
    )
    decides = mixed or difference
    lower, upper = decides.lower, decides.upper
    scores = [(reading.reference, reading.arm) for reading in readings]
    both = [(one, other) for one, other in scores if one is not None and other is not None]
    return Comparison(
        question=question,
        arm=arm,
        reference=float(_by_case(readings, [one for one, _ in both]).mean()) if both else None,
        mean=float(_by_case(readings, [other for _, other in both]).mean()) if both else None,
        difference=difference,
        p=float(wilcoxon(differences).pvalue) if n >= 3 and differences.any() else None,
        mixed=mixed,
        lower=lower,
        upper=upper,
        non_inferior=lower > -margin if lower is not None else None,
        superior=lower > 0 if lower is not None else None,
    )


def _codes(names: Sequence[str]) -> NDArray[np.int64]:
    """A number for every name, the same for the same one."""
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _by_case(readings: Sequence[Reading], values: Sequence[float]) -> NDArray[np.float64]:
    """The mean of every case's readers, (cases,)."""
    cases: dict[str, list[float]] = defaultdict(list)
    for reading, value in zip(readings, values, strict=True):
        cases[reading.case].append(value)
    return np.array([np.mean(of_case) for of_case in cases.values()])


def _by_reader(given: Iterable[Rating | Preference], question: str) -> NDArray[np.float64]:
    """Scores of what every reader rated, (ratings, readers)."""
    rated: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for each in given:
        rated[each.study_uid, each.arm][each.account] = each.scores[question]
    readers = sorted({account for scores in rated.values() for account in scores})
    complete = [[scores[reader] for reader in readers] for scores in rated.values() if len(scores) == len(readers)]
    return np.array(complete, float) if complete and len(readers) > 1 else np.zeros((0, 2))
