"""Commands that send again what was parked, and try a receiver of notifications."""

from dataclasses import asdict
from typing import Annotated

import typer

from services.console import AsJson, Config, out, print_json, running_settings
from services.errors import SettingsError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (retry, notify):
        app.command()(command)


def retry(
    uid: Annotated[str | None, typer.Argument(help="A study's or series' UID; without one, --to or --all.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="NAME", help="Only this destination or receiver.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Whatever is parked.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send again what was parked: results and notifications. Example: nightjar retry --to pacs"""
    from services.ledger import history
    from services.ledger.retrying import retry_parked
    from services.parts import open_context

    if (uid is None and to is None) != everything:
        raise SettingsError("Say what to send again: a study's UID, --to NAME, or --all for everything that is parked.")
    with open_context(running_settings(config)) as context, context.pool.connection() as connection:
        study_uid = None if uid is None else history.study_of(connection, uid)
        if uid is not None and study_uid is None:
            raise SettingsError(f"No study or series {uid} has arrived. Check the UID, and `nightjar status`.")
        retried = retry_parked(connection, study_uid=study_uid, destination=to)
    if as_json:
        print_json(asdict(retried))
    else:
        out.print(
            f"Queued again. Results: {retried.deliveries}. Notifications: {retried.notifications}."
            if retried.total
            else "Nothing of that is parked.",
            highlight=False,
        )
    if not retried.total:
        raise typer.Exit(1)


def notify(
    name: Annotated[str, typer.Argument(help="A receiver's name in the settings.")], config: Config = None
) -> None:
    """Send one test notification, about no patient. Example: nightjar notify ris"""
    from services.notifications.notify import send_test

    note = send_test(running_settings(config), name)
    out.print(f"{name} took the test notification{f': {note}' if note else ''}.", highlight=False, markup=False)
