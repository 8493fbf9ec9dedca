"""How many replicas of each part a number of studies a day needs, and what the waits then are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.capacity.calibration import Calibration, StudyKind
from services.capacity.day import BUSIEST_HOUR, studies_per_s
from services.capacity.queueing import servers_for
from services.capacity.simulation import DELAY, Job, Visit, simulate

URGENT = ("ich", "ais")
"""Models whose answer a reader waits for at night."""
SPREAD = 0.3
"""Standard deviation of a study's work over its mean: real studies differ more than the measured ones."""
JOBS_A_POD = 4
"""Analyses that one inference pod reads and waits for at once (`worker.concurrency`)."""
INTAKE_WAIT_S = 2.0
WORKER_WAIT_S = 1.0
STUDIES, LONG_S = 2000, 600.0
"""So many studies at least are simulated, and so long: queues need minutes to become as long as they will be."""
_TRIES = 60


@dataclass(frozen=True)
class Goal:
    """Longest waits that 95 of 100 studies may have beyond the work itself, seconds."""

    urgent_s: float = 5.0
    routine_s: float = 120.0

    def of(self, model: str) -> float:
        return self.urgent_s if model in URGENT else self.routine_s


@dataclass(frozen=True)
class Waits:
    """From the last slice to the flag, seconds; `wait_p95_s` is the part of it in which nothing was done."""

    p50_s: float
    p95_s: float
    p99_s: float
    wait_p95_s: float


@dataclass(frozen=True)
class Sizing:
    """An answer.

    Attributes:
        replicas: by part: router, worker, inference, and the models' replicas by model.
        busy: share of time that a replica works, at the busiest hour.
        waits: by model, at the busiest hour.
        cores: busy at the busiest hour, by part.
        reached: whether the goal is met with these replicas.
        beyond_measured: the rate over the highest that was ever measured.
    """

    studies_per_day: float
    studies_per_s: float
    replicas: dict[str, int]
    busy: dict[str, float]
    waits: dict[str, Waits]
    cores: dict[str, float]
    gigabytes_a_day: float
    reached: bool
    beyond_measured: float


@dataclass(frozen=True)
class _Part:
    """A station: its mean work over the visits it gets, and visits a study."""

    name: str
    visits: float
    work_s: float


def size(
    calibration: Calibration, studies_per_day: float, goal: Goal = Goal(), given: Mapping[str, int] | None = None
) -> Sizing:
    """The fewest replicas that meet the goal at the busiest hour; those `given` stay as they are."""
    given = dict(given or {})
    rate = studies_per_s(studies_per_day, BUSIEST_HOUR)
    parts = {part.name: part for part in _parts(calibration)}
    replicas = {
        name: given.get(name, servers_for(rate * part.visits * part.work_s, part.work_s, _wait_s(name, goal), 0.95))
        for name, part in parts.items()
    }
    waits: dict[str, Waits] = {}
    reached = False
    for _ in range(_TRIES):
        waits, longest = simulate_hour(calibration, rate, replicas)
        late = [model for model, each in waits.items() if each.wait_p95_s > goal.of(model)]
        reached = not late
        able = [name for name in longest if name not in given and (name == "worker" or name in late)]
        if reached or not able:
            break
        worst = max(able, key=lambda name: longest[name])
        replicas[worst] += max(1, replicas[worst] // 20)
    models = [name for name in parts if name in calibration.models]
    busy = {name: min(1.0, rate * part.visits * part.work_s / replicas[name]) for name, part in parts.items()}
    return Sizing(
        studies_per_day=studies_per_day,
        studies_per_s=rate,
        replicas={
            "router": replicas["router"],
            "worker": replicas["worker"],
            "inference": given.get("inference", math.ceil(sum(replicas[name] for name in models) / JOBS_A_POD)),
            **{name: replicas[name] for name in models},
        },
        busy=busy,
        waits=waits,
        cores=_cores(calibration, rate),
        gigabytes_a_day=studies_per_day * sum(kind.share * kind.megabytes for kind in calibration.kinds) / 1000,
        reached=reached and max(busy.values()) < 1,  # a queue that grows without end is no wait
        beyond_measured=studies_per_day / calibration.studies_per_day,
    )


def simulate_hour(
    calibration: Calibration, rate: float, replicas: Mapping[str, int], seed: int = 0
) -> tuple[dict[str, Waits], dict[str, float]]:
    """Waits by model, and seconds waited in front of each part, while studies keep coming at `rate` a second."""
    stations = [part.name for part in _parts(calibration)]
    index = {name: number for number, name in enumerate(stations)}
    rng = np.random.default_rng(seed)
    studies = max(STUDIES, int(rate * LONG_S))
    at_s = np.cumsum(rng.exponential(1 / rate, studies))
    shares = np.array([kind.share for kind in calibration.kinds])
    kinds = rng.choice(len(shares), studies, p=shares / shares.sum())
    sigma = math.sqrt(math.log(1 + SPREAD**2))
    factors = rng.lognormal(-(sigma**2) / 2, sigma, studies)
    jobs: list[Job] = []
    models: list[str] = []
    for at, number, factor in zip(at_s.tolist(), kinds.tolist(), factors.tolist(), strict=True):
        kind = calibration.kinds[number]
        for visits in _routes(kind, index):
            jobs.append(Job(at, tuple(Visit(each.station, each.work_s * factor, each.cores) for each in visits)))
            models.append(kind.model)
    ended = simulate([replicas[name] for name in stations], jobs)
    flags: dict[str, list[tuple[float, float]]] = {}
    for job, model, times in zip(jobs, models, ended, strict=True):
        if model:
            flags.setdefault(model, []).append(_to_flag(job, index[model], times))
    return {model: _waits(pairs) for model, pairs in flags.items()}, _waited(stations, jobs, ended)


def _routes(kind: StudyKind, index: Mapping[str, int]) -> list[list[Visit]]:
    """The visits of each analysis of a study, intake first; of one without an analysis, what it costs all the same."""
    intake_s = kind.cpu_s.get("router", 0.0)
    intake = Visit(index["router"], intake_s)
    if not kind.model:
        return [[intake, Visit(index["worker"], kind.cpu_s.get("worker", 0.0))]]
    visits = analysis_visits(kind, index)
    return [[intake, *visits], *([Visit(DELAY, intake_s), *visits] for _ in range(kind.analyses - 1))]


def analysis_visits(kind: StudyKind, index: Mapping[str, int]) -> list[Visit]:
    """From the last instance on: worker, model, worker; what a stage took beyond its work is time that passes."""
    visits: list[Visit] = []
    for stage, seconds in kind.stages_s.items():
        if stage == "infer":
            cpu_s = kind.cpu_s.get("inference", seconds) / max(1, kind.analyses)
            visits.append(Visit(index[kind.model], seconds, max(0.1, cpu_s / seconds)))
        elif stage in kind.worker_s:
            work_s = kind.worker_s[stage]
            visits += [Visit(DELAY, seconds - work_s), Visit(index["worker"], work_s)]
    return visits


def _to_flag(job: Job, model: int, ended: Sequence[float]) -> tuple[float, float]:
    """Of an analysis, intake first: seconds from its last instance to its flag, and how many of them were work."""
    infer = next(number for number, visit in enumerate(job.visits) if visit.station == model)
    return ended[infer] - ended[0], sum(visit.work_s for visit in job.visits[1 : infer + 1])


def _waits(pairs: Sequence[tuple[float, float]]) -> Waits:
    taken, work = np.array(pairs).T
    p50, p95, p99 = (float(value) for value in np.percentile(taken, [50, 95, 99]))
    return Waits(p50, p95, p99, float(np.percentile(taken - work, 95)))


def _waited(stations: Sequence[str], jobs: Sequence[Job], ended: Sequence[Sequence[float]]) -> dict[str, float]:
    """Seconds that all jobs together stood in front of each station."""
    waited = dict.fromkeys(stations, 0.0)
    for job, times in zip(jobs, ended, strict=True):
        before = job.at_s
        for visit, at in zip(job.visits, times, strict=True):
            if visit.station != DELAY:
                waited[stations[visit.station]] += at - before - visit.work_s
            before = at
    return waited


def _parts(calibration: Calibration) -> list[_Part]:
    """Stations with what they get: router, worker, then the models."""
    kinds = calibration.kinds
    share = sum(kind.share for kind in kinds)

    def mean(values: list[float]) -> float:
        return sum(kind.share * value for kind, value in zip(kinds, values, strict=True)) / share

    worker_visits = mean([len(kind.worker_s) * kind.analyses or 1 for kind in kinds])
    found = [
        _Part("router", 1.0, mean([kind.cpu_s.get("router", 0.0) for kind in kinds])),
        _Part("worker", worker_visits, mean([kind.cpu_s.get("worker", 0.0) for kind in kinds]) / worker_visits),
    ]
    for model in calibration.models:
        own = [kind for kind in kinds if kind.model == model]
        analyses = sum(kind.share * kind.analyses for kind in own)
        work_s = sum(kind.share * kind.analyses * kind.stages_s["infer"] for kind in own) / analyses
        found.append(_Part(model, analyses / share, work_s))
    return found


def _wait_s(name: str, goal: Goal) -> float:
    return {"router": INTAKE_WAIT_S, "worker": WORKER_WAIT_S}.get(name) or goal.of(name)


def _cores(calibration: Calibration, rate: float) -> dict[str, float]:
    parts = dict.fromkeys(part for kind in calibration.kinds for part in kind.cpu_s)
    share = sum(kind.share for kind in calibration.kinds)
    return {
        part: rate * sum(kind.share * kind.cpu_s.get(part, 0.0) for kind in calibration.kinds) / share for part in parts
    }
