"""What the commands share: the two streams, their common options, JSON for programs."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from services.settings import Settings, load_settings

out = Console()
err = Console(stderr=True)

Config = Annotated[Path | None, typer.Option("--config", help="Settings (YAML). NIGHTJAR_ variables override it.")]
Key = Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Instead of the setting datasets.key_file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def running_settings(config: Path | None) -> Settings:
    """The settings of a service that runs: those given, or those embedded mode wrote when it started."""
    settings = load_settings(config)
    written = settings.data_dir / "run" / "settings.yaml"
    if settings.database.url is None and written.exists():
        return load_settings(written)
    return settings


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))
