"""A release looked at once more where it lies: digests, and the acceptance that needs no ledger."""

import hashlib
import json
from pathlib import Path
from typing import Any

from services.datasets.release.acceptance import Check, accept
from services.datasets.release.entry import Entry
from services.datasets.release.layouts import Layout
from services.errors import SettingsError

RELEASE = "release.json"


def check_release(folder: Path) -> list[Check]:
    """Every check of a released folder, the bytes first.

    Raises:
        SettingsError: the folder is no release of this Nightjar.
    """
    try:
        content: dict[str, Any] = json.loads((folder / RELEASE).read_text(encoding="utf-8"))
        entries = [Entry(**entry) for entry in content["index"]]
        layout, files, held = Layout(content["layout"]), dict(content["files"]), int(content["held"])
        labels = {int(value): str(name) for name, value in content["labels"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{folder} is no release: it has no {RELEASE} that can be read. Name a folder that nightjar dataset export "
            "wrote."
        ) from error
    accepted = int(content["cases"]) + held
    return [_bytes(folder, files), *accept(folder, entries, layout, labels, accepted=accepted, held=held)]


def _bytes(folder: Path, files: dict[str, str]) -> Check:
    problems = []
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing.")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            problems.append(f"{name} was changed.")
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    problems += [f"{name} was added." for name in sorted(there - set(files) - {RELEASE})]
    return Check("Bytes", f"{len(files)} files, each as its digest says, and no other.", tuple(problems))
