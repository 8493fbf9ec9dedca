"""Who of the supervised hangs: silent in the ledger, and doing nothing. A part that is only slow is left to work."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import psycopg

from services.ledger.database import connect
from services.operations.heartbeat import FRESH_S
from services.processes import cpu_s, family

SILENT_S = FRESH_S
IDLE_S = 6.0
SILENT_BUSY_S = 120.0
LOOK_PERIOD_S = 1.0

logger = logging.getLogger(__name__)


def hangs(silent_s: float, idle_s: float) -> bool:
    """Whether a process is to be ended and started again.

    Args:
        silent_s: since it last said that it lives.
        idle_s: since it last took any CPU; what is alive takes some every few seconds, even on a starved machine.
    """
    return silent_s > SILENT_BUSY_S or (silent_s > SILENT_S and idle_s > IDLE_S)


@dataclass
class _Life:
    """What was last seen of a process: its heartbeat and its CPU seconds, and when each last changed."""

    beat: datetime | None = None
    beaten_at: float = 0.0
    cpu_s: float = -1.0
    worked_at: float = 0.0


class Pulse:
    """Looks at heartbeats and CPU of some processes every second, by a clock that no one sets.

    That a beat changed is what counts, not the time that stands in it: a clock that jumps makes nobody look dead.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._clock = url, clock
        self._lives: dict[int, _Life] = {}
        self._of_earlier_lives: list[dict[str, datetime | str]] | None = None
        self._answered_at = self._steady_since = clock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends it without waiting: it may hang on a database that hangs."""
        self._stop.set()

    def has_beaten(self, pid: int) -> bool:
        return self._lives.get(pid, _Life()).beat is not None

    def part_hangs(self, pid: int) -> bool:
        """Whether a part has stopped; never while the ledger has not answered all along, for then nobody can beat."""
        now = self._clock()
        life = self._lives.setdefault(pid, _Life(worked_at=now))
        idle_s = self._idle_s(life, cpu_s(pid) or 0.0)
        if life.beat is None or now - self._answered_at > 2 * LOOK_PERIOD_S:
            return False
        return hangs(now - max(life.beaten_at, self._steady_since), idle_s)

    def ledger_hangs(self, postmaster: int) -> bool:
        """Whether the database has stopped answering, and none of its processes does anything."""
        life = self._lives.setdefault(postmaster, _Life(worked_at=self._clock()))
        idle_s = self._idle_s(life, sum(cpu_s(pid) or 0.0 for pid in family(postmaster)))
        return hangs(self._clock() - self._answered_at, idle_s)

    def forgive(self) -> None:
        """Silence so far does not count: the database was started again, or this process itself stood still."""
        self._answered_at = self._steady_since = self._clock()

    def _idle_s(self, life: _Life, taken_s: float) -> float:
        if taken_s != life.cpu_s:
            life.cpu_s, life.worked_at = taken_s, self._clock()
        return self._clock() - life.worked_at

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with connect(self._url, autocommit=True) as connection:
                    while not self._stop.wait(LOOK_PERIOD_S):
                        self._look(connection.execute("SELECT instance, at FROM heartbeat").fetchall())
            except psycopg.OperationalError:
                self._stop.wait(LOOK_PERIOD_S)

    def _look(self, rows: list[dict[str, datetime | str]]) -> None:
        now = self._clock()
        if now - self._answered_at > 2 * LOOK_PERIOD_S:
            self._steady_since = now
        self._answered_at = now
        if self._of_earlier_lives is None:
            self._of_earlier_lives = rows
        for row in rows:
            if row in self._of_earlier_lives:
                continue
            pid, at = int(str(row["instance"]).rpartition(":")[2]), row["at"]
            life = self._lives.setdefault(pid, _Life(worked_at=now))
            if at != life.beat and isinstance(at, datetime):
                life.beat, life.beaten_at = at, now
