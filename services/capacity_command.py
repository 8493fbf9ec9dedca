"""The command that says how many replicas a number of studies a day needs."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from services.console import AsJson, out, print_json
from services.errors import SettingsError


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(capacity)


def capacity(
    studies_per_day: Annotated[float, typer.Option(min=1, max=1e8, help="Studies sent to Nightjar in a day.")],
    given: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="PART=COUNT", help="Replicas that are given, such as ich=2; may be repeated."),
    ] = None,
    urgent_wait: Annotated[
        float, typer.Option(min=0.1, help="Longest wait of 95 of 100 studies for ich and ais, seconds.")
    ] = 5.0,
    routine_wait: Annotated[float, typer.Option(min=0.1, help="The same for other models, seconds.")] = 120.0,
    calibration: Annotated[
        Path | None, typer.Option(metavar="FILE", help="load.json of `make load` on your own machines.")
    ] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Page and curves go here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how many replicas it needs, and what the waits are. Example: nightjar capacity --studies-per-day 10000"""
    from services.capacity.calibration import read_calibration
    from services.capacity.report import sentences, write_report
    from services.capacity.sizing import Goal, size

    measured, goal = read_calibration(calibration), Goal(urgent_wait, routine_wait)
    sizing = size(measured, studies_per_day, goal, _given(given or [], ["router", "worker", *measured.models]))
    files = [] if out_dir is None else write_report(out_dir, measured, sizing, goal)
    if as_json:
        calibrated = {"at": measured.at, "commit": measured.commit, "conditions": measured.conditions}
        print_json(asdict(sizing) | {"calibration": calibrated, "files": files})
    else:
        table = Table(title=f"{studies_per_day:,.0f} studies a day", title_justify="left")
        for heading in ("", "Replicas", "Busy", "Last slice to flag: median", "95 %", "99 %"):
            table.add_column(heading, justify="right" if heading else "left")
        for name, count in sizing.replicas.items():
            busy = f"{sizing.busy[name]:.0%}" if name in sizing.busy else ""
            waits = sizing.waits.get(name)
            times = [] if waits is None else [f"{each:.1f} s" for each in (waits.p50_s, waits.p95_s, waits.p99_s)]
            table.add_row(name, str(count), busy, *times)
        out.print(table)
        for sentence in [*sentences(measured, sizing), *(f"Written: {path}" for path in files)]:
            out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    if not sizing.reached:
        raise typer.Exit(1)


def _given(texts: list[str], known: list[str]) -> dict[str, int]:
    found = {}
    for text in texts:
        name, _, count = text.partition("=")
        if name not in known or not count.isdigit() or not int(count):
            raise SettingsError(f"--with {text}: write one of {', '.join(known)} and its replicas, such as ich=2.")
        found[name] = int(count)
    return found
