"""Seconds from a study's last instance to its answer on the worklist, in the whole service on one machine."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from statistics import median

from load_tests.record import Figure, Measured

PEERS_TIMER_S = 60.0
"""How long Orthanc (StableAge) and mercure wait by default before they hold a series for complete."""


def measure(scratch: Path, *, quick: bool) -> Measured:  # noqa: ARG001 - there is no smaller demonstration
    """Run `nightjar demo --once` and read what it writes.

    A study without a finding has an answer too, and its seconds are counted the same way.
    """
    with socket.socket() as router, socket.socket() as web:
        for probe in (router, web):
            probe.bind(("127.0.0.1", 0))
        ports = {
            "NIGHTJAR_ROUTER__PORT": str(router.getsockname()[1]),
            "NIGHTJAR_WEB__PORT": str(web.getsockname()[1]),
        }
    out = scratch / "demo-out"
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "demo", "--once", "--out", str(out)],
        stdin=subprocess.DEVNULL,
        env=os.environ | ports,
        check=False,
    )
    if not (out / "summary.json").exists():
        raise RuntimeError(f"The demonstration ended with {done.returncode} and without a summary.")
    studies = json.loads((out / "summary.json").read_text(encoding="utf-8"))["studies"]
    seconds = {s["description"]: s["seconds_to_flag"] for s in studies if s["seconds_to_flag"] is not None}
    middle = median(seconds.values())
    return Measured(
        "The demonstration's head CTs, one after another; all parts, Postgres, Ray and the pages on this machine. "
        f"Peers wait {PEERS_TIMER_S:.0f} s by default before they start on a series.",
        (
            *(Figure(description, value, "s") for description, value in seconds.items()),
            Figure("median", middle, "s"),
            Figure("longest", max(seconds.values()), "s"),
            Figure("the peers' timer alone to our median", PEERS_TIMER_S / middle, "x"),
        ),
    )
