"""What the commands share: the two streams, their common options, JSON for programs."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

out = Console()
err = Console(stderr=True)

Config = Annotated[Path | None, typer.Option("--config", help="Settings (YAML). NIGHTJAR_ variables override it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))
