"""The official BIDS validator, as a program of its own: it reads the schema that BIDS itself is written from."""

import json
import os
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from deno import find_deno_bin  # type: ignore[import-untyped]

from services.errors import SettingsError

_BUNDLE: Final = files("bids_validator_deno").joinpath("bids-validator.js")
_NOTHING_ELSE: Final = ("--no-prompt", "--no-remote", "--allow-read", "--allow-env")
"""It reads, and neither writes nor opens a connection."""
_TIMEOUT_S: Final = 3600
_SHOWN: Final = 5


def bids_problems(folder: Path) -> list[str]:
    """What the validator refuses in a dataset and in its derivatives, a sentence for each kind; warnings are none.

    Raises:
        SettingsError: the validator cannot be run.
    """
    return [
        sentence
        for dataset in (folder, *sorted(path.parent for path in folder.glob("derivatives/*/dataset_description.json")))
        for sentence in _errors(dataset, dataset.relative_to(folder))
    ]


def _errors(dataset: Path, name: Path) -> list[str]:
    try:
        ran = subprocess.run(
            [find_deno_bin(), "run", *_NOTHING_ELSE, str(_BUNDLE), str(dataset), "--json"],
            env={**os.environ, "DENO_NO_UPDATE_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
        issues: list[dict[str, Any]] = json.loads(ran.stdout)["issues"]["issues"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        raise SettingsError(
            f"The BIDS validator could not be run ({type(error).__name__}). Install Nightjar's requirements again."
        ) from error
    found: dict[str, list[str]] = {}
    for issue in issues:
        if issue["severity"] == "error":
            code = ".".join(filter(None, (issue["code"], issue.get("subCode"))))
            found.setdefault(code, []).append(str(issue.get("location") or "").lstrip("/"))
    return [
        f"{'' if name == Path() else f'{name}: '}{code} in {len(places)} "
        f"{'file' if len(places) == 1 else 'files'}: {', '.join(sorted(places)[:_SHOWN])}."
        for code, places in sorted(found.items())
    ]
