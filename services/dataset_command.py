"""`nightjar dataset`: what leaves the hospital."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from services import release_commands
from services.console import AsJson, Config, Key, err, out, print_json
from services.settings import load_settings

if TYPE_CHECKING:
    from services.datasets.deidentify.folder import Report

dataset_app = typer.Typer(help="Datasets.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands of this module, and what releases are made and looked at with."""
    release_commands.register(dataset_app)
    app.add_typer(dataset_app, name="dataset")


@dataset_app.command("key")
def make_key(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Make a de-identification key. Example: nightjar dataset key deid.key"""
    from services.datasets.deidentify.pseudonyms import write_key

    made = write_key(file)
    out.print(
        f"Key {made.fingerprint} written to {file}. Keep it where the hospital keeps secrets, with a copy: pseudonyms, "
        "UIDs and dates of later releases only fit with this key, and whoever has it can check guesses against them.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@dataset_app.command()
def deidentify(
    source: Annotated[Path, typer.Argument(metavar="IN", exists=True, file_okay=False)],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    key: Key = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """De-identify a folder of DICOM into a new one. Example: nightjar dataset deidentify studies/ out/ --key deid.key

    Exit code 1 when anything was held: OUT then holds the rest, and OUT.held.csv says what and why.
    """
    from services.datasets.deidentify.folder import deidentify_folder
    from services.datasets.deidentify.pseudonyms import read_key

    pseudonyms = read_key(key or load_settings(config).datasets.key_file)
    with Progress(console=err, transient=True) as progress:
        bar = progress.add_task("De-identifying", total=None)
        report = deidentify_folder(
            source, target, pseudonyms, lambda done, total: progress.update(bar, completed=done, total=total)
        )
    if as_json:
        print_json(report.as_dict())
    else:
        _show(report, target)
    if report.held:
        raise typer.Exit(1)


def _show(report: "Report", target: Path) -> None:
    content = report.as_dict()
    table = Table("Action", "Elements", title_justify="left")
    for action, count in content["actions"].items():
        table.add_row(action, str(count))
    for action, count in content["pixels"].items():
        table.add_row(action.replace("_", " "), str(count))
    out.print(table)
    out.print(
        f"{report.objects} objects of {len(report.patients)} patients in {report.studies} studies written to {target}, "
        "each action counted in its report.json.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    for reason, count in content["held"].items():
        out.print(f"Held: {count}: {reason}", highlight=False, markup=False, soft_wrap=True)
    if report.held:
        out.print(
            f"Which files: {target.name}.held.csv beside it. That list names files of the hospital: keep it there.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if report.foreign:
        out.print(f"{len(report.foreign)} files are not DICOM and were left out.", highlight=False)
