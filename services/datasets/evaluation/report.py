"""The evaluation as one page that needs nothing beside it."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from models.predict import NOTICE
from services.datasets.evaluation import figures
from services.datasets.evaluation.acceptance import Limit
from services.datasets.evaluation.cases import ANY
from services.datasets.evaluation.estimate import Estimate, Quartiles
from services.datasets.evaluation.measuring import Outcome
from services.datasets.evaluation.overlap import TOLERANCE_MM
from services.datasets.evaluation.run import Evaluation

SYNTHETIC = "Synthetic images: not clinical accuracy."
NOTHING = "–"


def render_report(evaluation: Evaluation) -> str:
    """evaluation.html."""
    environment = Environment(
        loader=PackageLoader("services.datasets.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, area=area, ml=ml, median=median, number=number)
    summary = evaluation.summary
    meanings = {ANY: "At least one of them", **{label.name: label.meaning for label in evaluation.card.labels}}
    return environment.get_template("report.html").render(
        evaluation=evaluation,
        summary=summary,
        card=evaluation.card,
        meanings=meanings,
        any=ANY,
        analysed=summary.outcomes[Outcome.ANALYSED],
        not_analysed=[case for case in evaluation.cases if case.outcome is not Outcome.ANALYSED],
        notice=NOTICE,
        synthetic=SYNTHETIC if evaluation.synthetic else "",
        tolerance_mm=TOLERANCE_MM,
        rocs=_rocs(evaluation),
        volumes=_volumes(evaluation),
        reliabilities=_reliabilities(evaluation),
        wanted=wanted,
    )


def _rocs(evaluation: Evaluation) -> dict[str, Markup]:
    drawn = {}
    for name, label in evaluation.summary.labels.items():
        found = label.detection
        if found.roc and found.sensitivity.value is not None and found.specificity.value is not None:
            operating = (1 - found.specificity.value, found.sensitivity.value)
            drawn[name] = figures.roc_figure(name, found.roc, operating)
    return drawn


def _volumes(evaluation: Evaluation) -> dict[str, tuple[Markup, Markup]]:
    return {
        name: (
            figures.scatter_figure(name, label.volume.points),
            figures.bland_altman_figure(name, label.volume.points, label.volume.bland_altman),
        )
        for name, label in evaluation.summary.labels.items()
        if label.volume
    }


def _reliabilities(evaluation: Evaluation) -> dict[str, Markup]:
    fits: dict[str, Any] = {} if evaluation.fit is None else evaluation.fit.labels
    return {
        name: figures.reliability_figure(name, fit.before, fit.after)
        for name, fit in fits.items()
        if fit.before and fit.after
    }


def number(value: float | None, digits: int = 2) -> str:
    """With a real minus sign, and no minus before nothing."""
    return NOTHING if value is None else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def _range(low: float | None, high: float | None, digits: int, factor: float = 1) -> Markup:
    if low is None or high is None:
        return Markup("")
    joint = " to " if low < 0 else "–"
    shown = f"{number(low * factor, digits)}{joint}{number(high * factor, digits)}"
    return Markup('<span class="ci">{}</span>').format(shown)


def percent(estimate: Estimate) -> Markup:
    """A proportion in per cent with its interval."""
    if estimate.value is None:
        return escape(NOTHING)
    return Markup("{} {}").format(number(100 * estimate.value, 1), _range(estimate.lower, estimate.upper, 1, 100))


def area(estimate: Estimate) -> Markup:
    """An AUC or ICC with its interval."""
    if estimate.value is None:
        return escape(NOTHING)
    return Markup("{} {}").format(number(estimate.value, 3), _range(estimate.lower, estimate.upper, 3))


def ml(estimate: Estimate) -> Markup:
    """Millilitres with their interval."""
    if estimate.value is None:
        return escape(NOTHING)
    return Markup("{} {}").format(number(estimate.value, 1), _range(estimate.lower, estimate.upper, 1))


def median(quartiles: Quartiles, digits: int = 1) -> Markup:
    """A median with its quartiles; of one value, that."""
    if quartiles.median is None:
        return escape(NOTHING)
    if quartiles.of == 1:
        return escape(number(quartiles.median, digits))
    return Markup("{} {}").format(number(quartiles.median, digits), _range(quartiles.first, quartiles.third, digits))


def wanted(limit: Limit) -> str:
    """A limit in words."""
    return f"at {'most' if limit.is_most else 'least'} {limit.value:g}"
