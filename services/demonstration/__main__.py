"""`python -m services.demonstration`: the demonstration as a program. See `services.demonstration.demo`."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from services.errors import NightjarError, SettingsError


def demonstrate(
    out: Annotated[Path, typer.Option("--out", help="Where summary.json and the received objects go.")] = Path(
        "demo-out"
    ),
    once: Annotated[bool, typer.Option("--once", envvar="ONCE", help="End after the table.")] = False,
    dicom: Annotated[
        Path | None, typer.Option("--dicom", envvar="DICOM", help="Push the studies below this folder instead.")
    ] = None,
) -> None:
    """Start the service, push studies, show what comes back. Example: python -m services.demonstration --once"""
    from services.demonstration.demo import run_demo

    sys.exit(run_demo(out, once=once, dicom=dicom))


def main() -> None:
    """Exit codes: 0 all studies ended as they should, 1 not, 2 wrong use or configuration, 130 interrupted."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        typer.run(demonstrate)
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except NightjarError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
