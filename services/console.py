"""What the commands share: the two streams, their common options, JSON for programs."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from services.errors import SettingsError
from services.settings import Settings, load_settings

if TYPE_CHECKING:
    from services.delivery.association import Peer

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


def read_peer(text: str) -> "Peer":
    """AE@host:port. Raises SettingsError."""
    from services.delivery.association import Peer

    found = re.fullmatch(r"([^@]{1,16})@(.+):(\d{1,5})", text)
    if found is None or not 0 < int(found[3]) < 65536:
        raise SettingsError(f"{text}: write the receiver as AE@host:port, such as NIGHTJAR@127.0.0.1:11112.")
    return Peer(found[1], found[2], int(found[3]))


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))
