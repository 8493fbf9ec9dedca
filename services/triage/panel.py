"""What the viewer says beside the images: findings, models, limits, and why labels are or are not drawn. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.card import Card, Measure
from services.languages import gettext
from services.languages.recorded import say_again
from services.ledger.images import ImageSeries, LabelFacts
from services.ledger.opinions import Opinion, dismissal
from services.ledger.worklist import AnalysisFacts, FindingFacts, StudyFacts

# For labels of a model whose card is no longer here.
_COLOURS = ((230, 60, 60), (70, 150, 240), (240, 190, 50), (90, 200, 120), (200, 110, 230))


@dataclass(frozen=True)
class PanelLabel:
    """A kind of voxel as it is drawn; `colour` is CSS."""

    value: int
    name: str
    meaning: str | None
    colour: str


@dataclass(frozen=True)
class PanelFinding:
    """A finding and where its voxels are: `label` is None where the card does not say."""

    facts: FindingFacts
    label: PanelLabel | None


@dataclass(frozen=True)
class PanelAnalysis:
    """One answer, or why there is none.

    Attributes:
        series: whose grid the answer lies on, or None.
        is_drawn: whether its labels can be laid on that series.
        why_not: the reason when they cannot; None for an answer without a finding.
        limits: of exactly this model version, or empty.
        mine: opinion of the account that looks.
        dismissed: the opinion that dismissed its flag, or None.
    """

    facts: AnalysisFacts
    series: ImageSeries | None
    is_drawn: bool
    why_not: str | None
    findings: tuple[PanelFinding, ...]
    labels: tuple[PanelLabel, ...]
    intended_use: str | None
    limits: tuple[str, ...]
    measurements: tuple[tuple[Measure, float], ...]
    mine: Opinion | None
    dismissed: Opinion | None


def describe_analyses(
    study: StudyFacts,
    series: Sequence[ImageSeries],
    labels: Mapping[int, LabelFacts],
    cards: Mapping[str, Card],
    account: str,
) -> tuple[PanelAnalysis, ...]:
    """The study's current analyses, the one with the largest finding first."""
    by_uid = {each.series_uid: each for each in series}
    described = [
        _describe(analysis, labels.get(analysis.id), by_uid, cards.get(analysis.model), account)
        for analysis in study.analyses
    ]
    described.sort(key=lambda each: max((f.facts.volume_ml for f in each.findings), default=0.0), reverse=True)
    return tuple(described)


def choose_series(
    analyses: Sequence[PanelAnalysis], series: Sequence[ImageSeries], asked: str | None
) -> ImageSeries | None:
    """The series to open: the one asked for, else the one findings lie on, else the one a model used, else the largest.

    Args:
        asked: key of a series, from an address.
    """
    for each in series:
        if each.key == asked:
            return each
    used = next((each.series for each in analyses if each.series is not None), None)
    return used or max(series, key=lambda each: (each.role is not None, each.instances), default=None)


def largest_finding(analyses: Sequence[PanelAnalysis], series: ImageSeries | None) -> FindingFacts | None:
    """The largest finding on a series, which is where the viewer opens."""
    findings = [
        finding.facts
        for analysis in analyses
        if analysis.series == series and analysis.is_drawn
        for finding in analysis.findings
    ]
    return max(findings, key=lambda finding: finding.volume_ml, default=None)


def why_no_result(study: StudyFacts) -> str:
    """Why there is no answer to show, in a sentence that claims nothing about the images."""
    if study.state == "receiving":
        return gettext("The study is still being received; the AI has not looked at it yet.")
    if study.state == "analysing":
        return gettext("The AI has not answered yet.")
    if study.reason:
        return gettext("Not analysed. %(reason)s", reason=say_again(study.reason))
    return gettext("Not analysed.")


def _describe(
    analysis: AnalysisFacts,
    labels: LabelFacts | None,
    series: Mapping[str, ImageSeries],
    card: Card | None,
    account: str,
) -> PanelAnalysis:
    shown = (
        ()
        if card is None
        else tuple(_label(label.value, label.name, label.meaning, label.colour) for label in card.labels)
    )
    by_name = {label.name: label for label in shown}
    reference = reference_series(labels.inputs, card) if labels is not None else None
    on = series.get(reference) if reference else None
    why_not = _why_not(analysis, labels, on)
    current = card if card is not None and card.version == analysis.model_version else None
    return PanelAnalysis(
        facts=analysis,
        series=on,
        is_drawn=analysis.state == "analysed" and why_not is None,
        why_not=why_not,
        findings=tuple(
            PanelFinding(finding, by_name.get(finding.label))
            for finding in (analysis.findings if analysis.state == "analysed" else ())
        ),
        labels=shown
        or tuple(
            _label(value, gettext("Label %(value)s", value=value), None, rgb)
            for value, rgb in enumerate(_COLOURS, start=1)
        ),
        intended_use=current.intended_use if current else None,
        limits=current.limits if current else (),
        measurements=tuple(
            (measure, analysis.measurements[measure.name])
            for measure in (current.measures if current else ())
            if measure.name in analysis.measurements
        ),
        mine=next((opinion for opinion in analysis.opinions if opinion.account == account), None),
        dismissed=dismissal(analysis.opinions),
    )


def reference_series(inputs: Mapping[str, str], card: Card | None) -> str | None:
    """Series whose grid an answer's labels are on; None where nobody knows any more."""
    if card is not None and card.reference_of(inputs).role in inputs:
        return inputs[card.reference_of(inputs).role]
    return next(iter(inputs.values())) if len(inputs) == 1 else None


def _why_not(analysis: AnalysisFacts, labels: LabelFacts | None, on: ImageSeries | None) -> str | None:
    if analysis.state != "analysed":
        return None
    if labels is None or labels.segmentation_key is None:
        return gettext("This answer has no outlines.")
    if on is None:
        return gettext("It is not known on which series the outlines lie.")
    if not labels.is_current:
        return gettext("Outlines are not shown: images arrived after this answer. A new analysis follows.")
    return None


def _label(value: int, name: str, meaning: str | None, rgb: tuple[int, int, int]) -> PanelLabel:
    return PanelLabel(value, name, meaning, "#{:02x}{:02x}{:02x}".format(*rgb))
