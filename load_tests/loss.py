"""A replica killed in the middle of its work: how long the others of a stream take, and who was with it."""

import os
import signal
import threading
import time
from collections.abc import Mapping
from statistics import median

import numpy as np

from load_tests.record import Figure
from models.volume import Volume
from services.errors import Retry
from services.inference.deployment import ModelServer
from services.ledger.jobs import Stage
from services.processes import cpu_s, replicas

LOAD = 0.4
"""Share of both replicas that the stream wants; of the one that is left, twice that."""
BEFORE_S = 0.3
"""The killed replica has been at a request for so long."""


class Heads:
    """Requests for one model at even times, each asked again as the ledger's jobs are."""

    def __init__(self, server: ModelServer, inputs: Mapping[str, Volume]) -> None:
        self._server, self._inputs = server, dict(inputs)
        self.taken_s: list[float] = []
        self.retries = 0

    def run(self, requests: int, step_s: float, lose_at: int | None = None) -> float:
        """The 99th percentile of seconds to an answer.

        Args:
            lose_at: a replica is killed while it is at this request.
        """
        started, threads = time.monotonic(), []
        for number in range(requests):
            time.sleep(max(0.0, started + number * step_s - time.monotonic()))
            thread = threading.Thread(target=self._one, daemon=True)
            thread.start()
            threads.append(thread)
            if number == lose_at:
                time.sleep(BEFORE_S)
                os.kill(_busiest(), signal.SIGKILL)
        for thread in threads:
            thread.join()
        return float(np.percentile(self.taken_s, 99))

    def _one(self) -> None:
        started, wait_s = time.monotonic(), Stage.wait_s
        while True:
            try:
                self._server.ask("ich", self._inputs)
            except Retry:
                self.retries += 1
                time.sleep(wait_s)
                wait_s *= 2
            else:
                break
        self.taken_s.append(time.monotonic() - started)


def measure_loss(server: ModelServer, head: Mapping[str, Volume], *, quick: bool) -> tuple[list[Figure], str]:
    """The same stream twice, the second time with a replica killed.

    Args:
        server: serves ich by two replicas.
    """
    requests = 6 if quick else 24
    alone = Heads(server, head)
    for _ in range(2 if quick else 6):
        alone.run(1, 0.0)
    one_s = median(alone.taken_s)
    step_s = one_s / 2 / LOAD
    whole, lost = Heads(server, head), Heads(server, head)
    whole_p99 = whole.run(requests, step_s)
    lost_p99 = lost.run(requests, step_s, lose_at=requests // 3)
    return [
        Figure("two replicas: p99", whole_p99, "s"),
        Figure("one of two replicas killed at work: p99", lost_p99, "s"),
        Figure("a replica lost to none lost, p99", lost_p99 / whole_p99, "x"),
        Figure("requests asked again when it was lost", float(lost.retries), ""),
        Figure("requests without an answer when it was lost", float(requests - len(lost.taken_s)), ""),
    ], (
        f"Loss: {requests} heads of {one_s:.1f} s, one every {step_s:.1f} s, for two replicas of one thread each "
        f"({LOAD:.0%} of both); the same again with one killed while it works, on the same machine that starts its "
        "successor; what it was at is asked again after the pause that a job makes."
    )


def _busiest() -> int:
    """The replica of this process that has taken most of the processor in a tenth of a second."""
    before = {pid: cpu_s(pid) or 0.0 for pid in replicas(os.getpid(), "ich")}
    time.sleep(0.1)
    return max(before, key=lambda pid: (cpu_s(pid) or 0.0) - before[pid])
