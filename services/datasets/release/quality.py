"""The dataset quality report: one page that needs nothing beside it, made of what leaves and nothing else."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from models.predict import NOTICE
from services.datasets.evaluation import figures
from services.datasets.evaluation.agreement import BlandAltman, bland_altman, icc
from services.datasets.evaluation.estimate import Estimate, Quartiles, quartiles
from services.datasets.evaluation.report import area, median, ml, number
from services.datasets.release.acceptance import Check
from services.datasets.release.case import Case, CaseImage
from services.datasets.release.entry import SPLITS, Plan, split_of
from services.datasets.release.provenance import tool_of
from services.datasets.release.sidecar import sidecar
from services.ledger.accepted import ReadersAgreement
from services.review.tasks import Task

_FIRST_ROUND: Final = 1
_SMALLEST_ML: Final = 0.0005
_LONGEST_TICK: Final = 14


@dataclass(frozen=True)
class LabelFigures:
    """One label over the release.

    Attributes:
        with_it: cases that show it, by split.
        volume: of those, mL.
    """

    meaning: str
    with_it: Mapping[str, int]
    volume: Quartiles
    largest_ml: float


@dataclass(frozen=True)
class ReaderFigures:
    """Two blinded first readings of one label."""

    dice: Quartiles
    nsd: Quartiles
    hd95_mm: Quartiles
    lesion_f1: Quartiles
    volume: BlandAltman
    icc: Estimate
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ScannerRow:
    """One scanner, as its de-identified headers say."""

    maker: str
    model: str
    energy: str
    cases: int
    patients: int
    slices_mm: Quartiles


def render_quality(cases: Sequence[Case], plan: Plan, checks: Sequence[Check], held: Mapping[str, int]) -> str:
    """quality.html. The same cases give the same page."""
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader(__package__ or "", "."), PackageLoader("services.datasets.evaluation", ".")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(area=area, ml=ml, median=median, number=number)
    labels, readers, scanners = label_figures(cases, plan.task), reader_figures(cases, plan.task), scanner_rows(cases)
    splits = Counter(split_of(case.lots) for case in cases)
    return environment.get_template("quality.html").render(
        plan=plan,
        splits={name: splits[name] for name, _ in SPLITS},
        patients=len({case.participant for case in cases}),
        patients_by_split={
            name: len({case.participant for case in cases if split_of(case.lots) == name}) for name, _ in SPLITS
        },
        cases=len(cases),
        checks=checks,
        held=held,
        labels=labels,
        readers=readers,
        scanners=scanners,
        grades=_grades(cases),
        words=plan.task.quality.words,
        flaws={name: sum(any(grade[name] for grade in case.label.quality) for case in cases) for name in _FLAWS},
        graded=sum(bool(case.label.quality) for case in cases),
        twice=sum(bool(_first_round(case)) for case in cases),
        work=_work(cases),
        figures=_figures(cases, plan.task, readers, scanners),
        notice=NOTICE,
    )


_FLAWS: Final = ("motion", "metal")


def label_figures(cases: Sequence[Case], task: Task) -> dict[str, LabelFigures]:
    """By label of the task, those that nobody shows too."""
    found = {}
    for label in task.labels:
        shown = [(split_of(case.lots), ml) for case in cases if (ml := _volume(case, label.value)) > 0]
        counts = Counter(split for split, _ in shown)
        volumes = [ml for _, ml in shown]
        found[label.name] = LabelFigures(
            label.meaning, {name: counts[name] for name, _ in SPLITS}, quartiles(volumes), max(volumes, default=0.0)
        )
    return found


def reader_figures(cases: Sequence[Case], task: Task) -> dict[str, ReaderFigures]:
    """By label that at least one of two readers marked in their first, blinded reading."""
    found = {}
    for label in task.labels:
        each = [one for case in cases for one in _first_round(case) if one.label == label.name]
        if not each:
            continue
        pairs = np.array([(one.first_ml, one.second_ml) for one in each])
        found[label.name] = ReaderFigures(
            dice=quartiles([one.dice for one in each if one.dice is not None]),
            nsd=quartiles([one.nsd for one in each if one.nsd is not None]),
            hd95_mm=quartiles([one.hd95_mm for one in each if one.hd95_mm is not None]),
            lesion_f1=quartiles([one.lesion_f1 for one in each if one.lesion_f1 is not None]),
            volume=bland_altman(pairs[:, 0], pairs[:, 1]),
            icc=icc(pairs),
            points=tuple((float(first), float(second)) for first, second in pairs),
        )
    return found


def scanner_rows(cases: Sequence[Case]) -> list[ScannerRow]:
    """The scanners of the images that the masks lie on, most cases first."""
    groups: dict[tuple[str, str, str], list[Case]] = {}
    for case in cases:
        groups.setdefault(_scanner(case.images[0]), []).append(case)
    return [
        ScannerRow(
            *key,
            cases=len(members),
            patients=len({case.participant for case in members}),
            slices_mm=quartiles([float(np.median(case.images[0].volume.slab_mm)) for case in members]),
        )
        for key, members in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _scanner(image: CaseImage) -> tuple[str, str, str]:
    told = sidecar(image)
    energy = f"{told['MagneticFieldStrength']:g} T" if "MagneticFieldStrength" in told else ""
    energy = energy or (f"{told['KVP']:g} kV" if "KVP" in told else "")
    return str(told.get("Manufacturer", "")), str(told.get("ManufacturersModelName", "")), energy


def _volume(case: Case, value: int) -> float:
    return case.mask.volumes_ml().get(value, 0.0)


def _first_round(case: Case) -> list[ReadersAgreement]:
    return [each for each in case.label.agreement if each.round == _FIRST_ROUND]


def _grades(cases: Sequence[Case]) -> dict[int, int]:
    """Cases by their lowest grade."""
    return dict(
        sorted(Counter(min(g["value"] for g in case.label.quality) for case in cases if case.label.quality).items())
    )


def _work(cases: Sequence[Case]) -> dict[str, Any]:
    labels = [case.label for case in cases]
    drafts = Counter(f"{label.model} {label.model_version}" if label.model else "none" for label in labels)
    return {
        "drafts": dict(drafts.most_common()),
        "unchanged": sum(label.unchanged for label in labels),
        "tools": dict(Counter(tool_of(label.tool) for label in labels).most_common()),
        "rounds": dict(sorted(Counter(label.rounds for label in labels).items())),
        "people": len({account for label in labels for _, account, _ in label.people}),
        "accepting": len({label.accepted_by for label in labels}),
    }


def _figures(
    cases: Sequence[Case], task: Task, readers: Mapping[str, ReaderFigures], scanners: Sequence[ScannerRow]
) -> dict[str, Any]:
    volumes = {
        label.name: [ml for case in cases if (ml := _volume(case, label.value)) > _SMALLEST_ML] for label in task.labels
    }
    dice = {
        name: [one.dice for case in cases for one in _first_round(case) if one.label == name and one.dice is not None]
        for name in readers
    }
    grades = _grades(cases)
    return {
        "volumes": figures.strip_figure("Volumes by label", "mL", {_tick(n): v for n, v in volumes.items() if v})
        if any(volumes.values())
        else Markup(""),
        "agreement": figures.strip_figure(
            "Dice of two readers by label", "Dice", {_tick(n): v for n, v in dice.items()}, 1.0
        )
        if any(dice.values())
        else Markup(""),
        "bland_altman": {
            name: figures.bland_altman_figure(name, each.points, each.volume, "Second − first reader")
            for name, each in readers.items()
            if each.volume.bias.value is not None
        },
        "grades": figures.bars_figure(
            "Cases by lowest grade of image quality",
            "Grade",
            {str(v): grades.get(v, 0) for v in sorted(task.quality.words)},
        ),
        "scanners": figures.bars_figure(
            "Cases by scanner",
            "Scanner",
            {_tick(f"{row.model or row.maker or 'unnamed'}"): row.cases for row in scanners[:6]},
        ),
        "splits": figures.bars_figure(
            "Cases by split", "Split", {name: sum(split_of(c.lots) == name for c in cases) for name, _ in SPLITS}
        ),
    }


def _tick(text: str) -> str:
    return text if len(text) <= _LONGEST_TICK else f"{text[: _LONGEST_TICK - 1]}…"
