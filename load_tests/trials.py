"""One thing done to one process while studies keep coming: who notices, what recovers, where everything is then."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count

import psycopg

from load_tests import faults
from load_tests.custody import Custody, judge, settled
from load_tests.scanners import Scanner, Sent
from load_tests.site import CELLS, Site
from load_tests.studies import Template
from services.ledger.database import connect
from services.storage.local import LocalStore

Fault = Callable[[Site, str], AbstractContextManager[None]]

LONG_S = 15.0
"""How long a fault lasts that nobody but us can mend."""
LOOK_S = 0.25
NOTICE_PATIENCE_S = 45.0
PATIENCE_S = 420.0

_OWN = ("router", "worker", "inference", "web", "replica", "ray head")
_PROCESSES = (*_OWN, "postgres", "orthanc")


@dataclass(frozen=True)
class Trial:
    """One thing that is done to one target.

    Attributes:
        mended: whether it has to be mended while it lasts; else it is undone after LONG_S.
        noticed: whether somebody must notice it; what is only slow need not be noticed.
    """

    fault: str
    target: str
    do: Fault
    mended: bool = False
    noticed: bool = True

    @property
    def name(self) -> str:
        return f"{self.fault} {self.target}".replace(" ", "-")


def trials() -> list[Trial]:
    """All of them."""
    return [
        *(Trial("kill", name, faults.killed, mended=True) for name in _PROCESSES),
        *(Trial("pause", name, faults.paused, mended=name in _OWN) for name in _PROCESSES),
        *(Trial("partition", name, faults.cut_off) for name in CELLS),
        Trial("disk full", "store", faults.disk_full),
        Trial("clock an hour ahead", "postgres", faults.clock_ahead, noticed=False),
        Trial("clock an hour behind", "postgres", faults.clock_behind, noticed=False),
        *(Trial("slow", name, faults.slowed, noticed=False) for name in _PROCESSES),
    ]


@dataclass(frozen=True)
class Outcome:
    """What one trial showed.

    Attributes:
        sign: what of the site knew first, and seconds from the fault until it did; None: nothing did.
        recovered_s: from its end (or from the fault, where it had to be mended) until a study sent after that was
            answered and its results were in the PACS; None: it never was.
        unsent: studies that their scanner could not send to the end.
    """

    trial: Trial
    sign: tuple[str, float] | None
    recovered_s: float | None
    unsent: int
    custody: Custody


class Flow:
    """Studies that scanners send: one after another, or every so many seconds, whatever happens."""

    def __init__(self, site: Site, templates: Sequence[Template]) -> None:
        self._site, self._templates = site, templates
        self._numbers = count(1)

    def send(self, scanner: Scanner) -> Sent:
        number = next(self._numbers)
        return scanner.take(self._templates[number % len(self._templates)].study(number))

    def time_alone(self, scanner: Scanner) -> float:
        """Seconds from one study's first instance to its results in the PACS; the second of two."""
        for _ in range(2):
            sent = [self.send(scanner)]
            taken = _until(partial(self.done, sent), PATIENCE_S)
        if taken is None:
            raise RuntimeError("A study that is alone is not answered; nothing can be tried here.")
        return taken

    def done(self, sent: list[Sent]) -> bool:
        """Whether all of them were taken, have ended and are delivered."""
        if not all(each.complete for each in sent):
            return False
        try:
            with connect(self._site.database_url, autocommit=True) as connection:
                return settled(connection, sent)
        except psycopg.OperationalError:
            return False

    @contextmanager
    def steady(self, scanner: Scanner, period_s: float) -> Iterator[list[Sent]]:
        """A study every `period_s`; the list grows while the block runs."""
        sent: list[Sent] = [self.send(scanner)]
        ending = threading.Event()

        def run() -> None:
            while not ending.wait(period_s):
                sent.append(self.send(scanner))

        thread = threading.Thread(target=run, name="flow", daemon=True)
        thread.start()
        try:
            yield sent
        finally:
            ending.set()
            thread.join()


def attempt(trial: Trial, site: Site, flow: Flow, probe: Scanner, period_s: float) -> tuple[Outcome, list[Sent]]:
    """One trial under a study every `period_s`, and all that was sent meanwhile."""
    _until(lambda: not _missing(site), PATIENCE_S)
    with Scanner("CT-CHAOS", site.peer, 2) as scanner:
        with flow.steady(scanner, period_s) as sent:
            signs = _signs(trial, site, sent)
            time.sleep(min(period_s, 5.0))
            began = time.monotonic()
            with trial.do(site, trial.target):
                sign = _first(signs) if trial.noticed else None
                if trial.mended:
                    _until(lambda: not _missing(site), PATIENCE_S)
                else:
                    time.sleep(max(0.0, began + LONG_S - time.monotonic()))
            if not trial.mended:
                began = time.monotonic()
            after = flow.send(probe)
            recovered = _until(lambda: flow.done([after]), PATIENCE_S)
            recovered_s = None if recovered is None else time.monotonic() - began
        sent.append(after)
        _until(lambda: flow.done(sent), PATIENCE_S)
    unsent = sum(not each.complete for each in sent)
    return Outcome(trial, sign, recovered_s, unsent, audit(site, sent)), sent


def audit(site: Site, sent: Sequence[Sent]) -> Custody:
    """Where everything that was acknowledged is now."""
    with connect(site.database_url, autocommit=True) as connection:
        return judge(connection, sent, LocalStore(site.store), site.received)


def _signs(trial: Trial, site: Site, sent: list[Sent]) -> dict[str, Callable[[], bool]]:
    """What operators, readers and senders are shown, by its name."""
    target = trial.target
    if trial.fault == "disk full":
        return {"instances refused": lambda: any(each.tries for each in sent)}
    if target == "postgres":
        return {"pages not ready": lambda: not site.web_ready()}
    if target == "orthanc":
        refused = site.refused_by_orthanc()
        return {"delivery tried again": lambda: site.refused_by_orthanc() > refused}
    pid, part = site.pid(target), "inference" if target in ("replica", "ray head") else target
    return {
        "started again": lambda: site.pid(target) not in (pid, None),
        "heartbeat": lambda: part in _missing(site),
    }


def _first(signs: dict[str, Callable[[], bool]]) -> tuple[str, float] | None:
    """The sign that is seen first, and after how many seconds."""
    seen: list[str] = []

    def look() -> bool:
        seen.extend(name for name, ask in signs.items() if ask())
        return bool(seen)

    taken = _until(look, NOTICE_PATIENCE_S)
    return None if taken is None else (seen[0], taken)


def _missing(site: Site) -> list[str]:
    try:
        return site.silent_parts()
    except psycopg.OperationalError:
        return ["ledger"]


def _until(reached: Callable[[], bool], patience_s: float) -> float | None:
    """Seconds until it is so; None when patience ends first."""
    began = time.monotonic()
    while time.monotonic() - began < patience_s:
        if reached():
            return time.monotonic() - began
        time.sleep(LOOK_S)
    return None
