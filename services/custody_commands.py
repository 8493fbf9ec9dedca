"""Commands that keep, prove and end custody: reconcile, backup, restore, expire, audit."""

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich import box
from rich.progress import Progress
from rich.table import Table

from services.console import AsJson, Config, err, out, print_json, running_settings
from services.errors import SettingsError
from services.settings import load_settings

_SHOWN = ("id", "at", "account", "action", "outcome", "address", "study_uid")
"""Of a row of the audit trail: no patient, as a terminal keeps what it printed."""

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (reconcile, backup, restore, expire, audit):
        app.command()(command)


def reconcile(
    since: Annotated[str, typer.Option(help="How far back: 12h, 3d, 2w.")] = "1d",
    pull: Annotated[bool, typer.Option("--pull", help="Have the PACS send what is missing here.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Compare the ledger with its bytes and with the PACS. Example: nightjar reconcile --since 2d --pull"""
    from services.operations.archive import Archive
    from services.operations.reconcile import reconcile as compare
    from services.operations.reconcile import render
    from services.parts import open_context

    back = _span(since)
    settings = running_settings(config)
    if pull and settings.archive is None:
        raise SettingsError("--pull: there is no PACS to ask. Name one in the settings (archive).")
    archive = None if settings.archive is None else Archive(settings.archive, settings.router.ae_title)
    with open_context(settings) as context, Progress(console=err, transient=True) as progress:
        task = progress.add_task("Comparing", total=None)
        found = compare(
            context,
            archive,
            since=datetime.now(UTC) - back,
            pull=pull,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(found.as_dict())
    else:
        out.print(render(found))
    if found.differences:
        raise typer.Exit(1)


def _span(text: str, option: str = "--since") -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if found is None or int(found[1]) == 0:
        raise SettingsError(f"{option} {text}: write hours, days or weeks, such as 12h, 3d or 2w.")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def backup(
    place: Annotated[str, typer.Argument(metavar="DIR|s3://BUCKET/PATH")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Copy the ledger and all bytes while the service runs; again to the same place copies what is new.

    Example: nightjar backup /mnt/backup/nightjar
    """
    from services.operations.backup import back_up
    from services.operations.backup_places import open_place
    from services.storage import open_store

    settings = running_settings(config)
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("Copying", total=None)
        made = back_up(
            settings.database_url,
            open_store(settings),
            open_place(place, settings.backup, write=True),
            lambda done: progress.update(task, completed=done),
        )
    if as_json:
        print_json(asdict(made))
    else:
        out.print(
            f"{place}: the ledger (schema {made.schema}) and {made.objects} byte objects, {made.copied} of them new.",
            highlight=False,
        )


def restore(
    place: Annotated[str, typer.Argument(metavar="DIR|s3://BUCKET/PATH")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into an empty database and a store. Example: nightjar restore /mnt/backup/nightjar"""
    from services.embedded import database_of
    from services.operations.backup import restore as bring_back
    from services.operations.backup_places import open_place
    from services.storage import open_store

    settings = load_settings(config)
    with database_of(settings) as database_url, Progress(console=err, transient=True) as progress:
        task = progress.add_task("Copying", total=None)
        restored = bring_back(
            database_url,
            open_store(settings),
            open_place(place, settings.backup, write=False),
            lambda done: progress.update(task, completed=done),
        )
    if as_json:
        print_json(asdict(restored))
    else:
        out.print(
            f"Restored the backup of {restored.at}: schema {restored.schema}, {restored.objects} byte objects. Start "
            "the service, then `nightjar reconcile --pull` fetches what came since.",
            highlight=False,
        )


def expire(
    older_than: Annotated[
        str | None, typer.Option(help="Such as 90d; without it the settings' retention.images_days.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many studies it would be.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Remove the bytes of old studies from the store; the ledger keeps its account of them.

    Studies that are not at their end, wait for a delivery, or serve a correction or reader study stay.
    Example: nightjar expire --older-than 90d --dry-run
    """
    from services.operations import retention
    from services.parts import open_context

    settings = running_settings(config)
    days = settings.retention.images_days
    if older_than is None and days is None:
        raise SettingsError("Nothing says how old: name --older-than, such as 90d, or set retention.images_days.")
    age = timedelta(days=days or 0) if older_than is None else _span(older_than, "--older-than")
    with open_context(settings) as context, err.status("Looking") as status:
        before = context.now() - age
        if dry_run:
            done = retention.count(context, before)
        else:
            done = retention.expire(context, before, lambda studies: status.update(f"{studies} studies"))
    if as_json:
        print_json({**asdict(done), "before": done.before.isoformat()})
    elif done.objects is None:
        out.print(f"Studies that may go: {done.studies} (nothing since {done.before:%Y-%m-%d %H:%M}).", highlight=False)
    else:
        out.print(f"Studies expired: {done.studies}. Byte objects removed: {done.objects}.", highlight=False)


def audit(
    since: Annotated[str, typer.Option(help="How far back: 12h, 3d, 2w.")] = "1d",
    study: Annotated[str | None, typer.Option(metavar="UID", help="Of one study, by UID or pseudonym.")] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="Of one account.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say who looked at or changed what, oldest first. Example: nightjar audit --since 4w --study 1.2.840.1"""
    from services.ledger import history
    from services.ledger.audit import Wanted, list_entries
    from services.parts import open_context

    back = _span(since)
    with open_context(running_settings(config)) as context, context.pool.connection() as connection:
        study_uid = None if study is None else history.study_of(connection, study)
        if study is not None and study_uid is None:
            raise SettingsError(f"--study {study}: the ledger knows no such study.")
        entries = list_entries(connection, Wanted(context.now() - back, account, study_uid))[::-1]
    if as_json:
        print_json([{name: getattr(entry, name) for name in _SHOWN} for entry in entries])
        return
    table = Table("When (UTC)", "Account", "From", "What", "Study", box=box.SIMPLE_HEAD)
    for entry in entries:
        what = entry.action if entry.outcome == "success" else f"{entry.action}, failed"
        when = f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        table.add_row(when, entry.account or "–", entry.address or "–", what, entry.study_uid or "–")
    out.print(table if entries else f"Nothing was recorded in the last {since}.", highlight=False)
