"""`nightjar dataset`: what leaves the hospital."""

from collections import Counter
from dataclasses import asdict
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from services.console import AsJson, Config, err, out, print_json, running_settings
from services.errors import SettingsError
from services.settings import load_settings

if TYPE_CHECKING:
    from services.datasets.deidentify.folder import Report

dataset_app = typer.Typer(help="Datasets.", no_args_is_help=True, rich_markup_mode=None)

Key = Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Instead of the setting datasets.key_file.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
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


@dataset_app.command()
def export(
    task: Annotated[str, typer.Option(help="Which task's accepted labels.")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    name: Annotated[str, typer.Option(help="What the dataset is called.")] = "",
    layout: Annotated[str, typer.Option(help="bids, dicom (objects with SEG), nnunet or decathlon (MONAI).")] = "bids",
    again: Annotated[
        str, typer.Option("--again", metavar="RELEASE", help="Make this earlier release again, to the same bytes.")
    ] = "",
    key: Key = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Release accepted labels as a dataset. Example: nightjar dataset export --task ich --out ich-1 --key deid.key

    Exit code 1 when a workitem was held: DIR then holds the rest.
    """
    from services.datasets.deidentify.pseudonyms import read_key
    from services.datasets.release.export import export as run
    from services.datasets.release.export import rebuild
    from services.datasets.release.layouts import Layout
    from services.ledger import releases
    from services.parts import open_context
    from services.review.tasks import find_task, load_tasks

    if layout not in list(Layout):
        raise SettingsError(f"--layout {layout}: there are {', '.join(Layout)}.")

    settings = running_settings(config)
    pseudonyms = read_key(key or settings.datasets.key_file)
    found = find_task(load_tasks(settings.review.tasks), task)
    with open_context(settings) as context, Progress(console=err, transient=True) as progress:
        bar = progress.add_task("Releasing", total=None)

        def move(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        if again:
            with context.pool.connection() as connection:
                record = releases.find(connection, again)
            if record.task != task:
                raise SettingsError(f"Release {again} is of the task {record.task}, not of {task}.")
            release = rebuild(context, found, out_dir, record, pseudonyms, move)
        else:
            release = run(context, found, out_dir, name or out_dir.name, pseudonyms, move, layout=Layout(layout))
    content = release.content
    if as_json:
        print_json({**content, "held": [{"workitem": number, "reason": why} for number, why in release.held]})
    else:
        splits = ", ".join(f"{split} {count}" for split, count in content["splits"].items())
        out.print(
            f"Release {content['number']} of {task}, {content['release']}: {content['cases']} cases of "
            f"{content['participants']} patients ({splits}) written to {out_dir}. Its quality report: "
            f"{(out_dir / 'quality.html').resolve().as_uri()}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        for number, why in release.held:
            out.print(f"Held: workitem {number}: {why}", highlight=False, markup=False, soft_wrap=True)
    if release.held:
        raise typer.Exit(1)


@dataset_app.command()
def releases(
    task: Annotated[str, typer.Option(help="Of one task.")] = "", config: Config = None, as_json: AsJson = False
) -> None:
    """List releases. Example: nightjar dataset releases --task ich"""
    from services.ledger.releases import list_releases
    from services.parts import open_context

    with open_context(running_settings(config)) as context, context.pool.connection() as connection:
        found = list_releases(connection, task or None)
    if as_json:
        print_json([{**asdict(each), "labels": len(each.labels)} for each in found])
        return
    table = Table("Task", "Number", "Release", "Name", "Layout", "Cases", "Held", "Key", "When", title_justify="left")
    for each in found:
        table.add_row(
            each.task,
            str(each.number),
            each.digest,
            each.name,
            each.layout,
            str(len(each.labels)),
            str(sum(each.held.values())),
            each.key_fingerprint,
            f"{each.at:%Y-%m-%d %H:%M}",
        )
    out.print(table)


@dataset_app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)], as_json: AsJson = False
) -> None:
    """Hold a release against its digests and the acceptance. Example: nightjar dataset check ich-1

    Exit code 1 when something does not fit.
    """
    from services.datasets.release.checking import check_release

    checks = check_release(folder)
    if as_json:
        print_json([asdict(each) for each in checks])
    else:
        for each in checks:
            verdict = f"{len(each.problems)} wrong" if each.problems else "fits"
            out.print(f"{each.name}: {verdict}. {each.what}", highlight=False, markup=False, soft_wrap=True)
            for problem in each.problems:
                out.print(f"  {problem}", highlight=False, markup=False, soft_wrap=True)
    if any(each.problems for each in checks):
        raise typer.Exit(1)


@dataset_app.command()
def consent(
    file: Annotated[Path, typer.Argument(metavar="LIST.csv")],
    basis: Annotated[str, typer.Option(help="What decisions without one of their own rest on.")] = "",
    config: Config = None,
) -> None:
    """Record consents and holds of patients or studies. Example: nightjar dataset consent list.csv --basis "form 7"

    LIST.csv has the columns decision (granted, withdrawn, hold, lifted) and patient_id or study_uid, maybe basis.
    """
    from services.datasets.release.lists import read_list
    from services.ledger.consent import count_unknown, record
    from services.parts import open_context

    entries = read_list(file, basis or None)
    with open_context(running_settings(config)) as context, context.pool.connection() as connection:
        unknown = count_unknown(connection, entries)
        record(connection, entries, by=getuser())
    counts = ", ".join(f"{count} {decision}" for decision, count in Counter(e.decision.value for e in entries).items())
    out.print(
        f"Recorded: {counts}." + (f" {unknown} of them name nobody who has arrived here yet." if unknown else ""),
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


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
