"""`nightjar dataset`: releases made, listed and looked at, consents, and datasets of others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from services.console import AsJson, Config, Key, err, out, print_json, read_peer, running_settings
from services.errors import Reject, SettingsError
from services.processes import user_name
from services.settings import Settings

if TYPE_CHECKING:
    from services.datasets.importing.tree import Tree
    from services.delivery.association import Peer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (export, releases, check, consent):
        app.command()(command)
    app.command("import")(bring)


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
        record(connection, entries, by=user_name())
    counts = ", ".join(f"{count} {decision}" for decision, count in Counter(e.decision.value for e in entries).items())
    out.print(
        f"Recorded: {counts}." + (f" {unknown} of them name nobody who has arrived here yet." if unknown else ""),
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def bring(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
    model: Annotated[str, typer.Option(help="For evaluation of this model, with --out.")] = "",
    out_dir: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="A new folder.")] = None,
    task: Annotated[str, typer.Option(help="As workitems of this task, into the running service.")] = "",
    name: Annotated[str, typer.Option(help="What the dataset is called here.")] = "",
    to: Annotated[
        str, typer.Option("--to", metavar="AE@HOST:PORT", help="The service's intake; else as its settings have it.")
    ] = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Read a BIDS or ISLES'24 dataset. Example: nightjar dataset import isles24/train --model ais --out isles-eval

    With --model and --out: folders that nightjar evaluate reads. With --task: its images go through intake, and each
    of its masks is handed in as the first reading of a workitem. Exit code 1 when a case was not taken; the import
    run again takes the rest.
    """
    from services.datasets.importing.tree import read_tree

    if bool(task) == bool(model) or bool(model) != (out_dir is not None):
        raise SettingsError("Say either --model NAME --out DIR, for evaluation, or --task NAME, for workitems.")
    tree = read_tree(folder)
    called = name or folder.resolve().name
    if out_dir is not None:
        from models.registry import load_card
        from services.datasets.importing.evaluating import write_evaluation

        refused: list[str] = []
        made: Sequence[str | int] = write_evaluation(tree, load_card(model), out_dir)
        told = (
            f"{len(made)} studies written to {out_dir}. Next: nightjar evaluate --task {model} "
            f"--images {out_dir}/images --truth {out_dir}/truth --out evaluation"
        )
    else:
        settings = running_settings(config)
        made, refused = _as_workitems(tree, called, task, settings, read_peer(to) if to else _own_intake(settings))
        numbers = ", ".join(map(str, made[:10])) + (" ..." if len(made) > 10 else "")
        told = f"{len(made)} masks of {called} are readings of workitems now{f': {numbers}' if made else ''}."
    if as_json:
        print_json({"made": list(made), "refused": refused, "notes": tree.notes})
    else:
        for sentence in (told, *(f"Not taken: {each}" for each in refused), *tree.notes):
            out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    if refused:
        raise typer.Exit(1)


def _own_intake(settings: Settings) -> "Peer":
    from services.delivery.association import Peer

    router = settings.router
    if router.tls is not None and router.tls.only:
        raise SettingsError("The router takes TLS alone (router.tls.only). Name another intake: --to AE@HOST:PORT.")
    return Peer(router.ae_title, "127.0.0.1" if router.host == "0.0.0.0" else router.host, router.port)  # noqa: S104


def _as_workitems(
    tree: "Tree", called: str, task: str, settings: Settings, peer: "Peer"
) -> tuple[list[int], list[str]]:
    """Send each case's images to the service as a scanner would, then hand its mask in; workitems, and refusals.

    Raises:
        Reject: the intake does not take images.
    """
    from models.errors import InvalidVolume
    from services.datasets.importing.objects import write_objects
    from services.datasets.importing.workitems import hand_in
    from services.delivery.store_scu import send_directory
    from services.parts import open_context
    from services.review.tasks import find_task, load_tasks

    found = find_task(load_tasks(settings.review.tasks), task)
    if lacking := [case.name for case in tree.cases if found.grid not in case.images]:
        raise SettingsError(
            f"{len(lacking)} cases have no {found.grid}, on which {task} is drawn, such as {lacking[0]}."
        )
    made: list[int] = []
    refused: list[str] = []
    with open_context(settings) as context, Progress(console=err, transient=True) as progress:
        for case in progress.track(tree.cases, description="Importing"):
            with TemporaryDirectory() as scratch:
                try:
                    series = write_objects(case, called, Path(scratch))
                except InvalidVolume as error:
                    refused.append(f"{case.name}: {error}")
                    continue
                sent = send_directory(Path(scratch), peer, calling_ae="NIGHTJAR-IMPORT")
            if sent.failures:
                raise Reject(
                    f"{case.name}: {peer} did not take {len(sent.failures)} of its images: {sent.failures[0][1]}. "
                    f"Taken before it: {len(made)} cases. Run the import again for the rest."
                )
            try:
                made.append(hand_in(context, case, called, series[found.grid], found))
            except Reject as error:
                refused.append(f"{case.name}: {error}")
    return made, refused
