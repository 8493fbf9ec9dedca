"""Many cases to the figures of a paper's tables; pure functions of the cases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from services.datasets.evaluation.agreement import BlandAltman, bland_altman, icc
from services.datasets.evaluation.brats import LesionWiseSummary, summarize_lesions
from services.datasets.evaluation.cases import ANY, SCANNER, THICKNESS
from services.datasets.evaluation.estimate import UNKNOWN, Estimate, Quartiles, proportion, quartiles
from services.datasets.evaluation.measuring import Case, Measured, Outcome
from services.datasets.evaluation.roc import auc, clustered_auc, roc_curve


@dataclass(frozen=True)
class Detection:
    """Whether a label is flagged where experts saw it; at the operating point except for the AUCs.

    Attributes:
        positives: studies read that show it.
        negatives: studies read that do not.
        roc: points (1 - specificity, sensitivity) of the studies' probabilities.
    """

    positives: int
    negatives: int
    accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    auc: Estimate
    slice_auc: Estimate = UNKNOWN
    roc: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class VolumeAgreement:
    """Volumes by one method against the experts', mL, of studies whose truth shows the label; a missed one counts 0.

    Attributes:
        points: (truth, answer) a study.
    """

    truth_ml: Quartiles
    answer_ml: Quartiles
    icc: Estimate
    bland_altman: BlandAltman
    absolute_error_ml: Quartiles
    points: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class OverlapSummary:
    """Of studies whose truth shows the label. A missed one counts 0 in Dice, NSD and lesion F1, and has no HD95."""

    dice: Quartiles
    nsd: Quartiles
    hd95_mm: Quartiles
    lesion_f1: Quartiles = field(default_factory=Quartiles)


@dataclass(frozen=True)
class LabelSummary:
    """All figures of one label.

    Attributes:
        volume: None without label maps that show it.
        false_ml: volume marked in studies whose label map does not show it; None without any.
        largest_false_ml: the largest of these volumes.
        beside_abc2: (voxels, ABC/2) on the same studies: those where the model measured ABC/2; None without any.
    """

    detection: Detection
    volume: VolumeAgreement | None = None
    beside_abc2: tuple[VolumeAgreement, VolumeAgreement] | None = None
    overlap: OverlapSummary | None = None
    false_ml: Quartiles | None = None
    largest_false_ml: float | None = None


@dataclass(frozen=True)
class Stratum:
    """One label in one group of studies."""

    by: str
    group: str
    label: str
    detection: Detection
    absolute_error_ml: Quartiles
    dice: Quartiles


@dataclass(frozen=True)
class Summary:
    """Everything measured.

    Attributes:
        studies: how many there were.
        outcomes: how many ended how.
        labels: ANY first, then the card's in its order.
        seconds: of the analyses.
        slowest_s: the longest of them.
        with_voxels: studies analysed that had a label map.
        regions: those of the card lesion by lesion; empty without label maps.
        thickness_given: studies analysed whose slice thickness was stated rather than taken from slice positions.
    """

    studies: int
    outcomes: dict[str, int]
    labels: dict[str, LabelSummary]
    strata: tuple[Stratum, ...]
    seconds: Quartiles
    slowest_s: float | None = None
    with_voxels: int = 0
    regions: dict[str, LesionWiseSummary] = field(default_factory=dict)
    thickness_given: int = 0


def summarize(cases: Sequence[Case], labels: Sequence[str]) -> Summary:
    """The figures of all cases, and of groups of them.

    Args:
        labels: names of the card's labels in its order.
    """
    analysed = [case for case in cases if case.outcome is Outcome.ANALYSED]
    seconds = [case.seconds for case in analysed if case.seconds is not None]
    names = [ANY, *labels]
    return Summary(
        studies=len(cases),
        outcomes={str(outcome): sum(case.outcome is outcome for case in cases) for outcome in Outcome},
        labels={name: _label(analysed, name) for name in names},
        strata=tuple(stratum for name in names for stratum in _strata(analysed, name)),
        seconds=quartiles(seconds),
        slowest_s=max(seconds, default=None),
        with_voxels=sum(bool(case.slices) for case in analysed),
        regions={
            name: summarize_lesions([case.regions[name] for case in analysed if name in case.regions])
            for name in dict.fromkeys(name for case in analysed for name in case.regions)
        },
        thickness_given=sum(THICKNESS in case.attributes for case in analysed),
    )


def _label(cases: Sequence[Case], name: str) -> LabelSummary:
    shown = [case.labels[name] for case in cases if case.labels[name].truth_ml]
    false_ml = [_answer(case.labels[name]) for case in cases if case.labels[name].truth_ml == 0]
    ruled = [m for m in shown if m.abc2_ml is not None]
    overlaps = [m.overlap for m in shown if m.overlap is not None]
    return LabelSummary(
        detection=_detection(cases, name, whole=True),
        volume=_agreement(shown, _answer) if shown else None,
        beside_abc2=(_agreement(ruled, _answer), _agreement(ruled, _ruler)) if ruled else None,
        overlap=OverlapSummary(
            dice=quartiles([o.dice for o in overlaps]),
            nsd=quartiles([o.nsd for o in overlaps]),
            hd95_mm=quartiles([o.hd95_mm for o in overlaps if o.hd95_mm is not None]),
            lesion_f1=quartiles([o.lesion_f1 for o in overlaps]),
        )
        if overlaps
        else None,
        false_ml=quartiles(false_ml) if false_ml else None,
        largest_false_ml=max(false_ml, default=None),
    )


def _detection(cases: Sequence[Case], name: str, *, whole: bool = False) -> Detection:
    """`whole`: with the curve and the slices, which no stratum shows."""
    read = [(m, m.truth) for m in (case.labels[name] for case in cases) if m.truth is not None]
    truth = np.array([seen for _, seen in read], bool)
    found = np.array([m.found for m, _ in read], bool)
    scores = np.array([m.probability for m, _ in read], float)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    hits, clears = int((truth & found).sum()), int((~truth & ~found).sum())
    alarms = negatives - clears
    detection = Detection(
        positives,
        negatives,
        accuracy=proportion(hits + clears, positives + negatives),
        sensitivity=proportion(hits, positives),
        specificity=proportion(clears, negatives),
        ppv=proportion(hits, hits + alarms),
        npv=proportion(clears, clears + positives - hits),
        auc=auc(truth, scores),
    )
    if not whole:
        return detection
    slices = [case.slices[name] for case in cases if name in case.slices]
    alarm_rates, hit_rates = roc_curve(truth, scores)
    return replace(
        detection,
        slice_auc=clustered_auc([(reads.truth, reads.scores) for reads in slices]),
        roc=tuple((float(x), float(y)) for x, y in zip(alarm_rates, hit_rates, strict=True)),
    )


def _answer(measured: Measured) -> float:
    return measured.answer_ml or 0.0


def _ruler(measured: Measured) -> float:
    return measured.abc2_ml or 0.0


def _agreement(shown: Sequence[Measured], by: Callable[[Measured], float]) -> VolumeAgreement:
    truth = np.array([m.truth_ml for m in shown], float)
    answer = np.array([by(m) for m in shown], float)
    return VolumeAgreement(
        truth_ml=quartiles(truth),
        answer_ml=quartiles(answer),
        icc=icc(np.stack([truth, answer], axis=1)),
        bland_altman=bland_altman(truth, answer),
        absolute_error_ml=quartiles(np.abs(answer - truth)),
        points=tuple((float(t), float(a)) for t, a in zip(truth, answer, strict=True)),
    )


_THICKNESS_GROUPS = ("up to 2 mm", "over 2 to 4 mm", "over 4 mm")
_VOLUME_GROUPS = ("under 5 mL", "5 to 30 mL", "over 30 mL")


def thickness_of(case: Case) -> float | None:
    """Slice thickness the site stated, else the median distance of slices, mm."""
    stated = case.attributes.get(THICKNESS)
    return case.step_mm if stated is None else float(stated)


def thickness_group(thickness_mm: float) -> str:
    return _THICKNESS_GROUPS[(thickness_mm > 2) + (thickness_mm > 4)]


def volume_group(truth_ml: float) -> str:
    return _VOLUME_GROUPS[(truth_ml >= 5) + (truth_ml > 30)]


def _strata(cases: Sequence[Case], name: str) -> list[Stratum]:
    columns = sorted({column for case in cases for column in case.attributes} - {THICKNESS})
    found = []
    for column in sorted(columns, key=lambda column: (column != SCANNER, column)):
        groups = sorted({case.attributes[column] for case in cases if column in case.attributes})
        found += [
            _stratum(column, group, name, [case for case in cases if case.attributes.get(column) == group])
            for group in groups
        ]
    thick = [(case, thickness_of(case)) for case in cases]
    found += [
        _stratum(
            "slice thickness",
            group,
            name,
            [case for case, mm in thick if mm is not None and thickness_group(mm) == group],
        )
        for group in _THICKNESS_GROUPS
    ]
    shown = [(case, case.labels[name].truth_ml) for case in cases]
    found += [
        _stratum("true volume", group, name, [case for case, ml in shown if ml and volume_group(ml) == group])
        for group in _VOLUME_GROUPS
    ]
    return [stratum for stratum in found if stratum.detection.positives + stratum.detection.negatives]


def _stratum(by: str, group: str, name: str, cases: Sequence[Case]) -> Stratum:
    shown = [case.labels[name] for case in cases if case.labels[name].truth_ml]
    return Stratum(
        by,
        group,
        name,
        _detection(cases, name),
        quartiles([abs(_answer(m) - (m.truth_ml or 0.0)) for m in shown]),
        quartiles([m.overlap.dice for m in shown if m.overlap is not None]),
    )
