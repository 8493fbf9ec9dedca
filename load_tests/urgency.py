"""Bleeds that arrive in a stream of other work: how long they take, and what overtaking costs the stream."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from load_tests.models import tumour_inputs
from load_tests.record import Figure
from models.phase import PhaseEncoding
from models.volume import Volume
from services.inference.deployment import ModelServer

LOAD = 0.9
"""Share of the machine that the mixed stream wants."""
ROUTINE = ("enhance", "tumour")
"""What the stream is made of, by turns; a bleed comes to each of them."""


@dataclass
class Stream:
    """Requests as they arrived, and how long each took; every one has a thread of its own."""

    ask: Callable[[str], None]
    taken_s: dict[str, list[float]] = field(default_factory=lambda: {model: [] for model in ("ich", *ROUTINE)})
    whole_s: float = 0.0

    def run(self, arrivals: list[tuple[float, str]]) -> "Stream":
        started, threads = time.monotonic(), []
        for at, model in arrivals:
            time.sleep(max(0.0, started + at - time.monotonic()))
            thread = threading.Thread(target=self._one, args=(model,), daemon=True)
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()
        self.whole_s = time.monotonic() - started
        return self

    def _one(self, model: str) -> None:
        started = time.monotonic()
        self.ask(model)
        self.taken_s[model].append(time.monotonic() - started)


def measure_urgency(server: ModelServer, head: Mapping[str, Volume], *, quick: bool) -> tuple[list[Figure], str]:
    """The same arrivals twice, first with the cards' priorities, then first in, first out.

    Args:
        server: serves ich and what the stream is made of.
    """
    inputs = {
        "ich": dict(head),
        "enhance": {"REDUCED": reduced_series(8 if quick else 48)},
        "tumour": tumour_inputs((8, 64, 64) if quick else (24, 160, 160)),
    }
    idle, alone = Stream(lambda model: ask(server, inputs, model, None)), (2 if quick else 16)
    for model in inputs:
        ask(server, inputs, model, None)
    for _ in range(alone):
        idle.run([(0.0, "ich")])
    for _ in range(1 if quick else 4):
        for model in ROUTINE:
            idle.run([(0.0, model)])
    seconds = {model: median(idle.taken_s[model]) for model in inputs}
    arrivals = schedule(4 if quick else 16, seconds)
    overtaking = Stream(lambda model: ask(server, inputs, model, None)).run(arrivals)
    in_order = Stream(lambda model: ask(server, inputs, model, 0)).run(arrivals)
    p95 = {
        name: float(np.percentile(stream.taken_s["ich"], 95))
        for name, stream in (("idle", idle), ("overtaking", overtaking), ("in order", in_order))
    }
    bleeds = len(overtaking.taken_s["ich"])
    routine = " and ".join(f"{model} ({seconds[model]:.1f} s)" for model in ROUTINE)
    return [
        Figure("bleed on an idle machine: p95", p95["idle"], "s"),
        Figure("bleed among other work at 90 % load: p95", p95["overtaking"], "s"),
        Figure("the same, first in, first out: p95", p95["in order"], "s"),
        Figure("bleed at 90 % load to idle, p95", p95["overtaking"] / p95["idle"], "x"),
        Figure("first in, first out to idle, p95", p95["in order"] / p95["idle"], "x"),
        Figure("throughput with overtaking to first in, first out", in_order.whole_s / overtaking.whole_s, "x"),
    ], (
        f"Urgency: {len(arrivals) - bleeds} analyses by turns of {routine}, and {bleeds} bleeds of "
        f"{seconds['ich']:.1f} s at random times among them, together {LOAD:.0%} of what the machine does one by one; "
        f"the same arrivals with the cards' priorities and first in, first out; idle: {alone} bleeds alone. From the "
        "call with the volume to the answer."
    )


def schedule(routine: int, seconds: Mapping[str, float]) -> list[tuple[float, str]]:
    """The stream at even times and as many bleeds at random ones that want LOAD of the machine together.

    Args:
        seconds: that each model's analysis takes alone.
    """
    step = (sum(seconds[model] for model in ROUTINE) / len(ROUTINE) + seconds["ich"]) / LOAD
    chance = np.random.default_rng(7)
    bleeds = [((n + chance.random()) * step, "ich") for n in range(routine)]
    return sorted([(n * step, ROUTINE[n % len(ROUTINE)]) for n in range(routine)] + bleeds)


def ask(server: ModelServer, inputs: Mapping[str, Mapping[str, Volume]], model: str, priority: int | None) -> None:
    server.ask(model, inputs[model], priority)


def reduced_series(slices: int) -> Volume:
    """Noise acquired with 70 percent of its lines, which takes as long as a head."""
    voxels = np.random.default_rng(0).random((slices, 256, 256), np.float32) * 1000
    return Volume(
        voxels=voxels,
        positions_mm=np.arange(slices)[:, None] * np.array([[0.0, 0.0, 1.0]]),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(0.9, 0.9),
        encoding=PhaseEncoding(2, 0.35, 0.5, 0.5),
    )
