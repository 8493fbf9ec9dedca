"""A discrete-event simulation of jobs that pass stations one after another. Pure: numbers in, times out.

A station has servers and one queue, first come, first served. All stations may share a machine: where more cores are
wanted than there are, all that runs slows down alike.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

DELAY = -1
"""As a station: time that passes without a server or a core, such as a wait for the network."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One step of a job.

    Attributes:
        station: index of a station, or DELAY.
        work_s: seconds it takes when nothing slows it down.
        cores: that it keeps busy meanwhile.
    """

    station: int
    work_s: float
    cores: float = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """One job: when it arrives, and where it goes."""

    at_s: float
    visits: tuple[Visit, ...]


def simulate(servers: Sequence[int], jobs: Sequence[Job], cores: float = math.inf) -> list[list[float]]:
    """When each visit of each job ended, seconds; in the order of `jobs`.

    Args:
        servers: of each station.
        cores: of the one machine that holds all stations; without it each has its own.
    """
    return _Run(servers, jobs, cores).ended


class _Run:
    """Visits that run are kept by virtual time, which passes more slowly while the machine is short of cores."""

    def __init__(self, servers: Sequence[int], jobs: Sequence[Job], cores: float) -> None:
        self._jobs, self._cores = jobs, cores
        self._free = list(servers)
        self._queues: list[deque[int]] = [deque() for _ in servers]
        self._delayed = [(job.at_s, number, number) for number, job in enumerate(jobs)]
        self._delayed.sort()
        self._running: list[tuple[float, int, int]] = []
        self._order, self._now, self._virtual, self._wanted = len(jobs), 0.0, 0.0, 0.0
        self.ended: list[list[float]] = [[] for _ in jobs]
        self._arrived = [False] * len(jobs)
        while self._delayed or self._running:
            self._step()

    def _step(self) -> None:
        rate = 1.0 if self._wanted <= self._cores else self._cores / self._wanted
        next_delayed = self._delayed[0][0] if self._delayed else math.inf
        next_running = self._now + (self._running[0][0] - self._virtual) / rate if self._running else math.inf
        at = max(self._now, min(next_delayed, next_running))
        self._virtual += (at - self._now) * rate
        self._now = at
        if next_running <= next_delayed:
            self._virtual, _, number = heappop(self._running)
            visit = self._jobs[number].visits[len(self.ended[number])]
            self._leave(visit)
            self._end(number)
        else:
            _, _, number = heappop(self._delayed)
            if self._arrived[number]:
                self._end(number)
            else:
                self._arrived[number] = True
                self._go_on(number)

    def _end(self, number: int) -> None:
        self.ended[number].append(self._now)
        self._go_on(number)

    def _go_on(self, number: int) -> None:
        done, visits = len(self.ended[number]), self._jobs[number].visits
        if done == len(visits):
            return
        visit = visits[done]
        if visit.station == DELAY:
            self._order += 1
            heappush(self._delayed, (self._now + visit.work_s, self._order, number))
        elif self._free[visit.station]:
            self._free[visit.station] -= 1
            self._start(visit, number)
        else:
            self._queues[visit.station].append(number)

    def _start(self, visit: Visit, number: int) -> None:
        self._wanted += visit.cores
        self._order += 1
        heappush(self._running, (self._virtual + visit.work_s, self._order, number))

    def _leave(self, visit: Visit) -> None:
        self._wanted = max(0.0, self._wanted - visit.cores)
        queue = self._queues[visit.station]
        if queue:
            number = queue.popleft()
            self._start(self._jobs[number].visits[len(self.ended[number])], number)
        else:
            self._free[visit.station] += 1
