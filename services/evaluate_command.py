"""`nightjar evaluate`: a model against labelled studies."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.progress import Progress
from rich.table import Table

from models.errors import InvalidCard
from models.registry import use_shelf
from services.console import AsJson, Config, err, out, print_json
from services.errors import SettingsError
from services.evaluate_versions import released_studies, show_comparison, write_comparison
from services.settings import load_settings

if TYPE_CHECKING:
    from services.datasets.evaluation.run import Evaluation, Request


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(evaluate)


def evaluate(
    task: Annotated[str, typer.Option(help="Which model.")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the report goes.")],
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="NIfTI files, or a folder of DICOM a study.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Label maps of the same names, and/or studies.csv; enhance needs none."),
    ] = None,
    release: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Instead of both: what nightjar dataset export wrote.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="train|validation|test", help="Which part of the release.")] = "test",
    version: Annotated[str | None, typer.Option(help="Of the model; else the one that serves.")] = None,
    against: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Another version, on the same studies: what changed.")
    ] = None,
    dataset: Annotated[str, typer.Option(help="What the data are, for the report.")] = "",
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="The images are no patients; said everywhere.")
    ] = False,
    limits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Limits to meet (YAML); not met: exit code 1.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Evaluate with this calibration instead of the card's values.")
    ] = None,
    calibrate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Fit a calibration on these studies and write it here.")
    ] = None,
    target_sensitivity: Annotated[float, typer.Option(min=0.5, max=1, help="Of the point “high sensitivity”.")] = 0.95,
    target_specificity: Annotated[float, typer.Option(min=0.5, max=1, help="Of the point “high specificity”.")] = 0.95,
    use: Annotated[str, typer.Option(help="Which point the calibration puts to use.")] = "high sensitivity",
    method: Annotated[str | None, typer.Option(help="One of the model's methods, such as adc620 of ais.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on labelled studies. Example: nightjar evaluate --task ich --images ct --truth masks --out out"""
    from services.datasets.evaluation.files import prepare_folder, write_files
    from services.datasets.evaluation.operating_points import HIGH_SENSITIVITY, HIGH_SPECIFICITY, Targets
    from services.datasets.evaluation.run import Request

    if use not in (HIGH_SENSITIVITY, HIGH_SPECIFICITY):
        raise SettingsError(f"--use {use}: there are {HIGH_SENSITIVITY} and {HIGH_SPECIFICITY}.")
    use_shelf(load_settings(config).inference.models_dir)
    prepare_folder(out_dir)
    makes_images = _makes_images(task)
    _refuse_unless_named(task, images, truth, release, makes_images=makes_images)
    if makes_images and images is not None:
        _evaluate_images(task, images, out_dir, dataset or images.resolve().name, synthetic, threads, as_json)
        return
    found = None if release is None else released_studies(release, split, task, version)
    if calibrate is not None:
        prepare_folder(calibrate.parent)
    request = Request(
        task=task,
        images=images or Path(),
        truth=truth or Path(),
        dataset=dataset or (images.resolve().name if images else f"{release and release.resolve().name}, {split}"),
        synthetic=synthetic,
        limits=limits,
        calibration=calibration,
        calibrate=calibrate is not None,
        targets=Targets(target_sensitivity, target_specificity, use),
        threads=threads,
        method=method,
        version=version,
        studies=found,
    )
    evaluation = _run(request)
    other = None
    if against is not None:
        other = _run(replace(request, version=against, limits=None, calibration=None, calibrate=False))
    content = write_files(evaluation, out_dir)
    if other is not None:
        content["against"] = write_comparison(evaluation, other, out_dir)
    written = None if calibrate is None else _write_calibration(evaluation, calibrate)
    if as_json:
        print_json(content)
    else:
        _show(evaluation, out_dir, written)
        if other is not None:
            show_comparison(content["against"])
    if evaluation.judgement is not None and evaluation.judgement != "met":
        raise typer.Exit(1)
    if calibrate is not None and written is None:
        raise typer.Exit(1)


def _refuse_unless_named(
    task: str, images: Path | None, truth: Path | None, release: Path | None, *, makes_images: bool
) -> None:
    if (images is None) == (release is None):
        raise SettingsError("Name the folder of --images, or a --release: one of the two.")
    if makes_images and images is None:
        raise SettingsError(f"--release: {task} makes images, and a release has none to hold them against.")
    if truth is None and images is not None and not makes_images:
        raise SettingsError(
            "--truth is missing: name the folder of label maps or studies.csv that belongs to --images."
        )


def _run(request: "Request") -> "Evaluation":
    from services.datasets.evaluation.run import evaluate as run

    with Progress(console=err, transient=True) as progress:
        bar = progress.add_task("Analysing", total=None)
        try:
            return run(
                request,
                on=datetime.now(UTC).date(),
                progress=lambda _, done, total: progress.update(bar, completed=done, total=total),
            )
        except InvalidCard as error:
            raise SettingsError(str(error)) from error


def _makes_images(task: str) -> bool:
    from models.registry import load_card

    try:
        return load_card(task).output == "image"
    except InvalidCard as error:
        raise SettingsError(str(error)) from error


def _evaluate_images(
    task: str, images: Path, out_dir: Path, dataset: str, synthetic: bool, threads: int, as_json: bool
) -> None:
    from models.registry import load_model
    from services.datasets.evaluation.enhancement import evaluate_enhancement, write_enhancement

    model = load_model(task, threads=threads)
    with Progress(console=err, transient=True) as progress:
        bar = progress.add_task("Enhancing", total=None)
        evaluation = evaluate_enhancement(
            model,
            images,
            dataset=dataset,
            synthetic=synthetic,
            on=datetime.now(UTC).date(),
            progress=lambda _, done, total: progress.update(bar, completed=done, total=total),
        )
    content = write_enhancement(evaluation, out_dir)
    if as_json:
        print_json(content)
        return
    table = Table(
        "",
        "Lines",
        "Slices",
        "PSNR dB\nsinc, here",
        "Gain dB",
        "SSIM\nsinc, here",
        "Edges\nsinc, here",
        "Lesions'\ncontrast",
    )
    for study, conditions in content["studies"].items():
        for condition, found in conditions.items():
            gain, kept = found["psnr_gain_db"], found.get("contrast_kept")
            interval = "" if gain["lower"] is None else f"\n{gain['lower']:.2f} to {gain['upper']:.2f}"
            table.add_row(
                study,
                condition,
                str(found["slices"]),
                f"{found['psnr_sinc']:.1f}, {found['psnr']:.1f}",
                f"{gain['value']:+.2f}{interval}",
                f"{found['ssim_sinc']:.4f}, {found['ssim']:.4f}",
                f"{found['edges_sinc']:.2f}, {found['edges']:.2f}",
                "" if kept is None else f"{kept['value']:.3f}",
            )
    out.print(table)
    for left in content["not_evaluated"]:
        out.print(f"{left['study']}: {left['reason']}", highlight=False, markup=False, soft_wrap=True)
    if synthetic:
        from services.datasets.evaluation.report import SYNTHETIC

        out.print(SYNTHETIC, highlight=False)
    out.print(f"Written to {out_dir}. {content['notice']}", highlight=False, markup=False, soft_wrap=True)


def _write_calibration(evaluation: "Evaluation", path: Path) -> Path | None:
    """The calibration file, or None when no label could be fitted."""
    from services.datasets.evaluation.calibrating import calibration_of
    from services.datasets.evaluation.report import SYNTHETIC

    if evaluation.fit is None:
        return None
    studies = sum(bool(case.labels) for case in evaluation.cases)
    words = f"{studies} studies, {evaluation.dataset}, {evaluation.on.isoformat()}"
    found = calibration_of(evaluation.fit, evaluation.card, f"{words}. {SYNTHETIC}" if evaluation.synthetic else words)
    if found is None:
        return None
    head = "# Written by nightjar evaluate --calibrate. `use` names the operating point in force.\n"
    try:
        path.write_text(
            head + yaml.safe_dump(found.model_dump(mode="json"), sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
    except OSError as error:
        raise SettingsError(f"--calibrate {path}: {error.strerror}. Name a file that can be written.") from error
    return path


def _show(evaluation: "Evaluation", out_dir: Path, calibration: Path | None) -> None:
    from services.datasets.evaluation.report import SYNTHETIC

    summary = evaluation.summary
    table = Table("", "Studies\nwith/out", "AUC", "Sensitivity", "Specificity", "ICC", "Dice", title_justify="left")
    for name, label in summary.labels.items():
        found = label.detection
        table.add_row(
            name,
            f"{found.positives}/{found.negatives}",
            _number(found.auc),
            _number(found.sensitivity),
            _number(found.specificity),
            _number(label.volume.icc if label.volume else None),
            "–" if label.overlap is None else f"{label.overlap.dice.median:.2f}",
        )
    out.print(table)
    left = [case for case in evaluation.cases if case.reason]
    for case in left[:10]:
        out.print(f"{case.study}: {case.outcome}: {case.reason}", highlight=False, markup=False, soft_wrap=True)
    if left:
        out.print(f"{len(left)} of {summary.studies} studies are not in the figures.", highlight=False)
    for verdict in evaluation.verdicts:
        limit, measured = verdict.limit, "–" if verdict.measured is None else f"{verdict.measured:.3f}"
        out.print(
            f"{limit.subject} {limit.metric}: at {'most' if limit.is_most else 'least'} {limit.value:g}, "
            f"measured {measured}: {verdict.judgement}{f' ({verdict.reason})' if verdict.reason else ''}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if evaluation.judgement is not None:
        out.print(f"Limits: {evaluation.judgement}.", highlight=False)
    if evaluation.fit is not None:
        out.print(
            f"Calibration written to {calibration}." if calibration else "Nothing to calibrate: too few studies.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if evaluation.synthetic:
        out.print(SYNTHETIC, highlight=False)
    out.print(
        f"Written to {out_dir}. Prioritisation only. Not for diagnosis.", highlight=False, markup=False, soft_wrap=True
    )


def _number(estimate: Any) -> str:
    """A figure with its interval below it, or a dash."""
    if estimate is None or estimate.value is None:
        return "–"
    if estimate.lower is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f}\n{estimate.lower:.2f}–{estimate.upper:.2f}"
