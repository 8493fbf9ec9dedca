"""Commands that need no running service: push, make and analyse studies, try rules."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from models.card import SIGN
from services.console import AsJson, Config, err, out, print_json, read_peer
from services.errors import SettingsError

rules_app = typer.Typer(help="Routing rules.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (send, phantom, demo, predict):
        app.command()(command)
    app.add_typer(rules_app, name="rules")


def send(
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    peer: Annotated[str, typer.Argument(metavar="AE@HOST:PORT")],
    calling: Annotated[str, typer.Option(help="Our own AE title.")] = "NIGHTJAR-SEND",
    as_json: AsJson = False,
) -> None:
    """Push every DICOM instance below a folder by C-STORE. Example: nightjar send studies/ NIGHTJAR@127.0.0.1:11112"""
    from services.delivery.store_scu import send_directory

    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("Sending", total=None)
        summary = send_directory(
            directory,
            read_peer(peer),
            calling_ae=calling,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        print_json({"sent": summary.sent, "failures": summary.failures, "skipped": summary.skipped})
    else:
        out.print(f"{summary.sent} instances stored by {peer}.", highlight=False)
        for file, reason in summary.failures:
            out.print(f"Not stored: {file}: {reason}", highlight=False, markup=False, soft_wrap=True)
        if summary.skipped:
            out.print(
                f"{len(summary.skipped)} files are not DICOM: {summary.skipped[0]} ...", markup=False, soft_wrap=True
            )
    if summary.failures or not summary.sent:
        raise typer.Exit(1)


def phantom(
    directory: Annotated[Path, typer.Argument(metavar="DIR")],
    seed: Annotated[int, typer.Option(help="Another seed draws other heads.")] = 0,
    only: Annotated[list[str] | None, typer.Option(help="One study of the set; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the demonstration studies as DICOM. Example: nightjar phantom studies/"""
    from services.demonstration.phantom import write_phantoms

    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("Writing", total=None)
        studies = write_phantoms(
            directory,
            seed=seed,
            only=only,
            progress=lambda _, done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(
            [
                {"name": s.name, "study_uid": s.study_uid, "directory": s.directory, "expected": s.expected}
                for s in studies
            ]
        )
        return
    table = Table("Study", "Shows", "Should end", "Folder")
    for study in studies:
        shows = ", ".join(f"{bleed.label} {bleed.volume_ml:.1f} mL" for bleed in study.bleeds) or "nothing"
        table.add_row(study.name, shows, study.expected, str(study.directory))
    out.print(table)


def demo(
    directory: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where everything goes.")] = Path("demo-out"),
    once: Annotated[bool, typer.Option("--once", help="End after the table.")] = False,
    dicom: Annotated[Path | None, typer.Option("--dicom", metavar="DIR", help="Push your own studies instead.")] = None,
) -> None:
    """Start the service, push studies, show what comes back. Example: nightjar demo --once"""
    from services.demonstration.demo import run_demo

    raise typer.Exit(run_demo(directory, once=once, dicom=dicom))


def predict(
    image: Annotated[Path | None, typer.Argument(metavar="INPUT", help="A folder of DICOM, or a NIfTI.")] = None,
    model: Annotated[str, typer.Option(help="Which model.")] = "ich",
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="ROLE=FILE", help="One input of a model that needs several.")
    ] = None,
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where results go.")] = Path("prediction"),
    calibration: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The site's calibration of this model (YAML).")
    ] = None,
    method: Annotated[str | None, typer.Option(help="One of the model's methods, such as adc620 of ais.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Analyse one image without a server. Example: nightjar predict --model ich head.nii.gz --out result"""
    from models.predict import predict as run
    from models.registry import use_shelf
    from services.settings import load_settings

    given: dict[str | None, Path] = {} if image is None else {None: image}
    for entry in inputs or []:
        role, separator, file = entry.partition("=")
        if not separator:
            raise SettingsError(f"--input {entry}: write it as ROLE=FILE, such as NCCT=head.nii.gz.")
        given[role] = Path(file)
    if not given:
        raise SettingsError("Nothing to analyse: name a folder of DICOM or a NIfTI, or --input ROLE=FILE.")
    use_shelf(load_settings(config).inference.models_dir)
    with err.status("Analysing"):
        report = run(model, given, out_dir, calibration=calibration, method=method)
    if as_json:
        print_json(report)
        return
    table = Table("Finding", "Volume", "Probability", "Urgency", title_justify="left")
    for finding in report["findings"]:
        table.add_row(
            f"Suspected {finding['label']}",
            f"{finding['volume_ml']:.1f} mL",
            f"{finding['probability']:.2f}",
            str(finding["urgency"]),
        )
    if "image" in report:
        out.print(f"Enhanced image: {report['image']}", highlight=False)
    else:
        out.print(table if report["findings"] else "No flag raised.")
    for name, taken in report["measurements"].items():
        said = taken.get("meaning") or _words(taken["value"], taken["unit"])
        out.print(f"{name}: {said}", highlight=False, markup=False)
    out.print(f"Written to {out_dir}. {report['notice']}", highlight=False)


def _words(value: float, unit: str) -> str:
    """A measurement on the terminal; signs are words, counts and ratios bare."""
    if unit == SIGN:
        return "present" if value else "absent"
    return f"{value:g}" if unit.startswith("{") else f"{value:g} {unit}"


@rules_app.command("test")
def rules_test(
    rules: Annotated[Path | None, typer.Argument(help="Rules (YAML); without one, those that ship.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the examples in a rules file. Example: nightjar rules test site-rules.yaml"""
    from dicom_router.rules import test_rules

    results = test_rules(rules)
    wrong = [result for result in results if not result.passed]
    if as_json:
        print_json([{**asdict(result), "passed": result.passed} for result in results])
    else:
        for result in wrong:
            out.print(
                f"{result.name}: expected {result.expected}, got {result.got}: {result.reason}",
                markup=False,
                soft_wrap=True,
            )
        out.print(f"{len(results) - len(wrong)} of {len(results)} examples as expected.", highlight=False)
    if wrong:
        raise typer.Exit(1)
