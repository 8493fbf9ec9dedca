"""python -m load_tests [NAME ...] [--quick]: run benches, write bench-results/NAME.json, print the figures.

Each bench is a module with `measure(scratch, quick)` and runs in a process of its own.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from load_tests import record
from load_tests.record import Measured

BENCHES = (
    "intake",
    "ich",
    "serving",
    "flag",
    "worklist",
    "viewer",
    "editor",
    "models",
    "parity",
    "deid",
    "load",
    "capacity",
    "chaos",
    "loop",
    "active-learning",
)
# Orthanc and storescp listen on every address whatever they are told: there, only each other's loopback exists.
_ISOLATED = ("intake", "chaos")
_AS_ROOT = ("chaos",)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m load_tests", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all without one")
    parser.add_argument("--quick", action="store_true", help="small, to see that it works; figures mean nothing")
    parser.add_argument("--out", type=Path, default=record.FOLDER, metavar="DIR", help="where the JSON goes")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(BENCHES)):
        parser.error(f"there is no bench called {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    for name in arguments.names or BENCHES:
        if name in _AS_ROOT and os.geteuid() != 0:
            print(f"{name} left out: it cuts networks and fills disks, which takes root.", file=sys.stderr)
            if arguments.names:
                return 2
            continue
        if arguments.here:
            _measure(name, arguments.quick, arguments.out)
            continue
        command = [sys.executable, "-m", "load_tests", name, "--here", "--out", str(arguments.out)]
        status = subprocess.run(
            [*(_isolation() if name in _ISOLATED else ()), *command, *(["--quick"] if arguments.quick else [])],
            check=False,
        ).returncode
        if status:
            return status
    return 0


def _isolation() -> list[str]:
    return ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def _measure(name: str, quick: bool, out: Path) -> None:
    if name in _ISOLATED:
        subprocess.run(["/usr/sbin/ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="nightjar-bench-", ignore_cleanup_errors=True) as scratch:
        Path(scratch).chmod(0o755)
        measured: Measured = import_module(f"load_tests.{name.replace('-', '_')}").measure(Path(scratch), quick=quick)
    command = shlex.join(["python", "-m", "load_tests", name, *(["--quick"] if quick else [])])
    path = record.write(name, command, measured, out)
    table = Table(title=name, caption=measured.conditions, title_justify="left", caption_justify="left")
    table.add_column("Figure")
    table.add_column("Value", justify="right")
    table.add_column("Unit")
    for figure in measured.figures:
        table.add_row(figure.what, f"{figure.value:.3g}", figure.unit)
    console = Console()
    console.print(table)
    console.print(f"Written: {path}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
