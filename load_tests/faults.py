"""Ways to break something and to mend it again."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from load_tests.site import Site, free_mb
from services.processes import family

SLOW_STOPPED_S, SLOW_RUNNING_S = 0.45, 0.05
HOUR_S = 3600.0
_WHOLE = ("postgres",)
"""Targets of which all processes are meant; of the others the one that leads."""


@contextmanager
def killed(site: Site, target: str) -> Iterator[None]:
    """SIGKILL; it is for others to start it again."""
    os.kill(_pid(site, target), signal.SIGKILL)
    yield


@contextmanager
def paused(site: Site, target: str) -> Iterator[None]:
    """SIGSTOP: it holds its connections and says nothing. Continued at the end, if it still is."""
    pid = _pid(site, target)
    stopped = family(pid) if target in _WHOLE else [pid]
    _signal(stopped, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(stopped, signal.SIGCONT)


@contextmanager
def slowed(site: Site, target: str) -> Iterator[None]:
    """It runs for a tenth of the time."""
    ending = threading.Event()
    pid = _pid(site, target)

    def hinder() -> None:
        while not ending.is_set():
            slow = family(pid) if target in _WHOLE else [pid]
            _signal(slow, signal.SIGSTOP)
            ending.wait(SLOW_STOPPED_S)
            _signal(slow, signal.SIGCONT)
            ending.wait(SLOW_RUNNING_S)

    thread = threading.Thread(target=hinder, name="slow", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


@contextmanager
def cut_off(site: Site, target: str) -> Iterator[None]:
    """Its cell's link is down: packets to and from it vanish."""
    site.cells.cut(target)
    try:
        yield
    finally:
        site.cells.heal(target)


@contextmanager
def disk_full(site: Site, target: str) -> Iterator[None]:  # noqa: ARG001 - there is one store
    """The file system of the store is filled to the last byte."""
    ballast = site.store / "ballast"
    try:
        with ballast.open("wb") as file, suppress(OSError):
            while free_mb(site.store) > 0:
                file.write(b"\0" * (1 << 20))
        yield
    finally:
        ballast.unlink()


@contextmanager
def clock_ahead(site: Site, target: str) -> Iterator[None]:  # noqa: ARG001 - there is one clock to move
    """The database's clock jumps an hour ahead, and back at the end."""
    site.set_clock(HOUR_S)
    try:
        yield
    finally:
        site.set_clock(0)


@contextmanager
def clock_behind(site: Site, target: str) -> Iterator[None]:  # noqa: ARG001
    """It jumps an hour back, and ahead again at the end."""
    site.set_clock(-HOUR_S)
    try:
        yield
    finally:
        site.set_clock(0)


def _pid(site: Site, target: str) -> int:
    pid = site.pid(target)
    if pid is None:
        raise RuntimeError(f"{target} does not run, so it cannot be disturbed.")
    return pid


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
