"""A whole evaluation: studies in, figures, verdicts and files out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from models.calibration import ModelCalibration, read_calibration
from models.card import Card
from models.registry import Model, load_model
from services.datasets.evaluation.acceptance import Judgement, Verdict, judge, overall, read_limits
from services.datasets.evaluation.calibrating import (
    CalibrationFit,
    fit_calibration,
    without_operating_points,
)
from services.datasets.evaluation.cases import ANY, Study, find_studies
from services.datasets.evaluation.measuring import Case, measure_study
from services.datasets.evaluation.operating_points import Targets
from services.datasets.evaluation.summary import Summary, summarize
from services.errors import SettingsError

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Request:
    """What to evaluate on what.

    Attributes:
        dataset: what the data are, in words, for the report.
        synthetic: they are no patients; said everywhere.
        limits: the site's limits file.
        calibration: a calibration file to evaluate the model with.
        calibrate: fit a new calibration as well.
        method: of those the card knows; None: its own.
        version: of the model; None: the one that serves.
        studies: what to evaluate on, in place of what lies in `images` and `truth`.
    """

    task: str
    images: Path
    truth: Path
    dataset: str
    synthetic: bool = False
    limits: Path | None = None
    calibration: Path | None = None
    calibrate: bool = False
    targets: Targets = field(default_factory=Targets)
    threads: int = 2
    method: str | None = None
    version: str | None = None
    studies: tuple[Study, ...] | None = None


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        card: as the model answered, with the site's calibration if one was given.
        calibration: name of that file; None for the card's own operating points.
        judgement: of all verdicts; None without limits.
    """

    card: Card
    dataset: str
    synthetic: bool
    on: date
    cases: tuple[Case, ...]
    summary: Summary
    calibration: str | None = None
    verdicts: tuple[Verdict, ...] = ()
    judgement: Judgement | None = None
    fit: CalibrationFit | None = None


Load = Callable[[str, int, ModelCalibration | None], Model]


def _loading(method: str | None, version: str | None) -> Load:
    return lambda name, threads, calibration: load_model(
        name, threads=threads, calibration=calibration, method=method, version=version
    )


def evaluate(request: Request, *, on: date, progress: Progress | None = None, load: Load | None = None) -> Evaluation:
    """Analyse every study and measure the answers.

    Args:
        on: today.
        progress: called with (study, done, of) after each study.
        load: opens the model; None: the one that is installed. Tests hand in their own.

    Raises:
        SettingsError: studies, truths or limits cannot be used; a line for each thing that is wrong.
        InvalidCard: there is no such model or method, or the calibration is not its own.
    """
    if request.calibrate and request.calibration is not None:
        raise SettingsError("--calibrate starts from the card: leave --calibration away.")
    load = load or _loading(request.method, request.version)
    applied = None if request.calibration is None else read_calibration(request.calibration)
    model = load(request.task, request.threads, applied)
    card = model.card
    limits = None if request.limits is None else read_limits(request.limits, (ANY, *(lab.name for lab in card.labels)))
    studies = request.studies or find_studies(request.images, request.truth, card)
    unrestricted = load(request.task, request.threads, without_operating_points(card)) if request.calibrate else None
    cases = _measure(studies, model, unrestricted, progress)
    summary = summarize(cases, [label.name for label in card.labels])
    verdicts = () if limits is None else judge(limits, summary)
    return Evaluation(
        card=card,
        dataset=request.dataset,
        synthetic=request.synthetic,
        on=on,
        cases=tuple(cases),
        summary=summary,
        calibration=None if request.calibration is None else request.calibration.name,
        verdicts=verdicts,
        judgement=overall(verdicts) if verdicts else None,
        fit=fit_calibration(cases, card, request.targets) if request.calibrate else None,
    )


def _measure(
    studies: Sequence[Study], model: Model, unrestricted: Model | None, progress: Progress | None
) -> list[Case]:
    cases = []
    for study in studies:
        cases.append(measure_study(study, model, unrestricted=unrestricted))
        if progress is not None:
            progress(study.name, len(cases), len(studies))
    return cases
