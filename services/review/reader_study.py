"""A reader study's order and statistics: several arms of the same cases, rated blinded on a seven-point scale. Pure."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.datasets.evaluation.estimate import CONFIDENCE, Estimate
from services.ledger.reader_studies import Rating, StudyImage

QUESTIONS = ("diagnostic quality", "resolution", "noise", "artefacts", "contrast")
POINTS = tuple(range(1, 8))
"""1 worst, 7 best, also for noise and artefacts: few of them are good."""


@dataclass(frozen=True)
class Comparison:
    """One question: an arm against the first arm, over the cases that both were rated in.

    Attributes:
        reference, mean: of each arm, over cases; a case counts by the mean of the readers who rated both.
        difference: arm less reference, with its 95 % t interval.
        p: of Wilcoxon's signed-rank test of the cases' differences; None where none differs or there are too few.
        non_inferior: whether the interval lies above minus the margin; None without an interval.
        superior: whether it lies above zero.
    """

    question: str
    arm: str
    reference: float
    mean: float
    difference: Estimate
    p: float | None
    non_inferior: bool | None
    superior: bool | None


def order_for(images: Sequence[StudyImage], study: int, account: str) -> list[StudyImage]:
    """The images in the order in which one reader sees them: random, another for everybody, always the same."""
    return sorted(
        images, key=lambda image: hashlib.sha256(f"reader study {study} {account} {image.id}".encode()).hexdigest()
    )


def compare(ratings: Sequence[Rating], arms: Sequence[str], margin: float) -> list[Comparison]:
    """Every question and arm against the first arm; those that no case was rated in are left out.

    Source: the interval is Student's over cases; Wilcoxon, Biometrics Bulletin 1945;1:80-83. Non-inferiority as in
    CONSORT's extension: the whole interval above minus the margin (Piaggio et al., JAMA 2012;308:2594-2604).
    """
    from scipy.stats import t, wilcoxon

    by_case: dict[str, dict[str, dict[str, dict[str, int]]]] = defaultdict(lambda: defaultdict(dict))
    for rating in ratings:
        by_case[rating.study_uid][rating.arm][rating.account] = rating.scores
    found = []
    for question in QUESTIONS:
        for arm in arms[1:]:
            pairs = []
            for case in by_case.values():
                readers = case[arms[0]].keys() & case[arm].keys()
                if readers:
                    pairs.append(
                        [np.mean([case[each][reader][question] for reader in readers]) for each in (arms[0], arm)]
                    )
            if not pairs:
                continue
            reference, other = np.array(pairs, float).T
            differences = other - reference
            n, mean = len(differences), float(differences.mean())
            difference = Estimate(mean, of=n)
            if n >= 3:
                reach = float(t.ppf(0.5 + CONFIDENCE / 2, n - 1) * differences.std(ddof=1) / np.sqrt(n))
                difference = Estimate(mean, mean - reach, mean + reach, n)
            lower = difference.lower
            found.append(
                Comparison(
                    question=question,
                    arm=arm,
                    reference=float(reference.mean()),
                    mean=float(other.mean()),
                    difference=difference,
                    p=float(wilcoxon(differences).pvalue) if n >= 3 and differences.any() else None,
                    non_inferior=lower > -margin if lower is not None else None,
                    superior=lower > 0 if lower is not None else None,
                )
            )
    return found
