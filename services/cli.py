"""The `nightjar` command. Exit codes: 0 done, 1 the answer is "no", 2 wrong use or configuration."""

import json
import logging
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pydicom.config
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from models.errors import ModelError
from services.errors import NightjarError, SettingsError
from services.settings import Settings, load_settings

if TYPE_CHECKING:
    from services.delivery.store_scu import Peer

app = typer.Typer(
    help="Distributed inference and triage beside a hospital PACS. Prioritisation only. Not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
rules_app = typer.Typer(help="Routing rules.", no_args_is_help=True, rich_markup_mode=None)
model_app = typer.Typer(help="Models.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(rules_app, name="rules")
app.add_typer(model_app, name="model")

out = Console()
err = Console(stderr=True)

Config = Annotated[Path | None, typer.Option("--config", help="Settings (YAML). NIGHTJAR_ variables override it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def main() -> None:
    """Entry point of the console script."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("httpx", "httpcore", "pynetdicom", "procrastinate", "uvicorn.access", "psycopg.pool"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Its warnings about odd values quote them, and a value may be a patient's name.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        app()
    except SettingsError as error:
        _fail(str(error), 2)
    except (NightjarError, ModelError) as error:
        _fail(str(error), 1)


def _fail(message: str, code: int) -> None:
    err.print(message, style="bold", highlight=False, markup=False, soft_wrap=True)
    sys.exit(code)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))


@app.command()
def serve(config: Config = None) -> None:
    """Run the whole service on this machine. Example: nightjar serve --config site.yaml"""
    from services.embedded import Embedded

    with Embedded(load_settings(config)) as service:
        with err.status("Starting") as status:
            service.wait_ready(status.update)
        settings = service.settings
        router = settings.router
        out.print(f"DICOM   {router.ae_title}@{router.host}:{router.port}", highlight=False)
        out.print(f"Pages   {service.web_url}", highlight=False)
        if service.login:
            out.print(f"Sign in {service.login[0]} / {service.login[1]} (shown once)", highlight=False)
        out.print("Prioritisation only. Not for diagnosis. Ctrl-C ends it.", highlight=False)
        try:
            service.watch()
        except KeyboardInterrupt:
            err.print("Ending.")


def _part(name: Any, config: Path | None) -> None:
    from services import parts

    if os.environ.get("NIGHTJAR_SUPERVISED"):
        parts.die_with_parent()
    parts.run_part(name, load_settings(config))


@app.command()
def router(config: Config = None) -> None:
    """Run the DICOM listener alone. Example: nightjar router --config site.yaml"""
    _part("router", config)


@app.command()
def worker(config: Config = None) -> None:
    """Run the jobs of every stage but inference. Example: nightjar worker --config site.yaml"""
    _part("worker", config)


@app.command()
def inference(config: Config = None) -> None:
    """Serve the models and run the analyses. Example: nightjar inference --config site.yaml"""
    _part("inference", config)


@app.command()
def web(config: Config = None) -> None:
    """Run the pages alone. Example: nightjar web --config site.yaml"""
    _part("web", config)


def _running(config: Path | None) -> Settings:
    """The settings of a service that runs: those given, or those embedded mode wrote when it started."""
    settings = load_settings(config)
    written = settings.data_dir / "run" / "settings.yaml"
    if settings.database.url is None and written.exists():
        return load_settings(written)
    return settings


@app.command()
def status(config: Config = None, as_json: AsJson = False) -> None:
    """Show what is where: counts, the oldest that waits, jobs, models, disk. Example: nightjar status --json"""
    from services.operations.status import collect_status, render_status
    from services.parts import open_context

    with open_context(_running(config)) as context:
        snapshot = collect_status(context)
    if as_json:
        _print_json(snapshot.as_dict())
    else:
        out.print(render_status(snapshot))


@app.command()
def explain(uid: str, config: Config = None, as_json: AsJson = False) -> None:
    """Say what happened to a study or series, and why. Example: nightjar explain 1.2.840.1"""
    from dicom_router import explain as explanation
    from services.parts import open_context

    with open_context(_running(config)) as context:
        found = explanation.explain(context.pool, uid)
    if as_json:
        _print_json(found.as_dict())
    else:
        out.print(explanation.render(found))


@app.command()
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
            _peer(peer),
            calling_ae=calling,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        _print_json({"sent": summary.sent, "failures": summary.failures, "skipped": summary.skipped})
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


def _peer(text: str) -> "Peer":
    from services.delivery.store_scu import Peer

    found = re.fullmatch(r"([^@]{1,16})@(.+):(\d{1,5})", text)
    if found is None or not 0 < int(found[3]) < 65536:
        raise SettingsError(f"{text}: write the receiver as AE@host:port, such as NIGHTJAR@127.0.0.1:11112.")
    return Peer(found[1], found[2], int(found[3]))


@app.command()
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
        _print_json(
            [
                {"name": s.name, "study_uid": s.study_uid, "directory": s.directory, "expected": s.expected}
                for s in studies
            ]
        )
        return
    table = Table("Study", "Shows", "Should end", "Folder")
    for study in studies:
        shows = ", ".join(f"{bleed.label} {bleed.volume_ml:.1f} mL" for bleed in study.bleeds) or "no bleed"
        table.add_row(study.name, shows, study.expected, str(study.directory))
    out.print(table)


@app.command()
def demo(
    directory: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where everything goes.")] = Path("demo-out"),
    once: Annotated[bool, typer.Option("--once", help="End after the table.")] = False,
    dicom: Annotated[Path | None, typer.Option("--dicom", metavar="DIR", help="Push your own studies instead.")] = None,
) -> None:
    """Start the service, push studies, show what comes back. Example: nightjar demo --once"""
    from services.demonstration.demo import run_demo

    raise typer.Exit(run_demo(directory, once=once, dicom=dicom))


@app.command()
def predict(
    image: Annotated[Path | None, typer.Argument(metavar="INPUT", help="A folder of DICOM, or a NIfTI.")] = None,
    model: Annotated[str, typer.Option(help="Which model.")] = "ich",
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="ROLE=FILE", help="One input of a model that needs several.")
    ] = None,
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where results go.")] = Path("prediction"),
    as_json: AsJson = False,
) -> None:
    """Analyse one image without a server. Example: nightjar predict --model ich head.nii.gz --out result"""
    from models.predict import predict as run

    given: dict[str | None, Path] = {} if image is None else {None: image}
    for entry in inputs or []:
        role, separator, file = entry.partition("=")
        if not separator:
            raise SettingsError(f"--input {entry}: write it as ROLE=FILE, such as NCCT=head.nii.gz.")
        given[role] = Path(file)
    if not given:
        raise SettingsError("Nothing to analyse: name a folder of DICOM or a NIfTI, or --input ROLE=FILE.")
    with err.status("Analysing"):
        report = run(model, given, out_dir)
    if as_json:
        _print_json(report)
        return
    table = Table("Finding", "Volume", "Probability", "Urgency", title_justify="left")
    for finding in report["findings"]:
        table.add_row(
            f"Suspected {finding['label']}",
            f"{finding['volume_ml']:.1f} mL",
            f"{finding['probability']:.2f}",
            str(finding["urgency"]),
        )
    out.print(table if report["findings"] else "No flag raised.")
    out.print(f"Written to {out_dir}. Prioritisation only. Not for diagnosis.", highlight=False)


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
        _print_json([{**asdict(result), "passed": result.passed} for result in results])
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


@model_app.command("list")
def model_list(as_json: AsJson = False) -> None:
    """List the models with version, inputs and labels. Example: nightjar model list"""
    from models.registry import list_models

    cards = list_models()
    if as_json:
        _print_json([card.model_dump(mode="json") for card in cards])
        return
    table = Table("Model", "Version", "Inputs", "Labels")
    for card in cards:
        table.add_row(
            card.name,
            card.version,
            ", ".join(entry.role for entry in card.inputs),
            ", ".join(label.name for label in card.labels),
        )
    out.print(table)


if __name__ == "__main__":
    main()
