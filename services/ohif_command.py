"""`nightjar ohif`: the full viewer, for sites that want one."""

from pathlib import Path
from typing import Annotated

import typer

from services.console import Config, err, out, running_settings

ohif_app = typer.Typer(help="OHIF beside the pages (optional).", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(ohif_app, name="ohif")


@ohif_app.callback()
def _group() -> None:
    """OHIF beside the pages (optional)."""


@ohif_app.command()
def install(
    config: Config = None,
    file: Annotated[Path | None, typer.Option(metavar="TGZ", help="The package as a file, without a network.")] = None,
) -> None:
    """Fetch the pinned OHIF, verify it, put it below data_dir. Example: nightjar ohif install"""
    from services.ohif.install import PACKAGE, VERSION
    from services.ohif.install import install as fetch_and_lay_out

    with err.status(f"Installing {PACKAGE} {VERSION}"):
        target = fetch_and_lay_out(running_settings(config).data_dir, file)
    out.print(f"{PACKAGE} {VERSION} is in {target}; the viewer of a study has a link to it now.", highlight=False)
