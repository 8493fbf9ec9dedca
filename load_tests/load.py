"""Ten minutes of a hospital's busiest hour, squeezed: every study through the whole service, nothing lost.

python -m load_tests load                         embedded mode on this machine, results to a stand-in PACS
python -m load_tests.load --at NIGHTJAR@HOST:PORT --config site.yaml
                                                  a service that runs elsewhere; the settings name its ledger
"""

import argparse
import heapq
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from load_tests import record
from load_tests.custody import Custody, judge, settled
from load_tests.record import Figure, Measured
from load_tests.resources import Watch
from load_tests.scanners import Scanner, Sent, wait_sent
from load_tests.stages import Passage, mean_stages, read_passages
from load_tests.studies import MIX, Kind, Study, Template, write_templates
from services.capacity.day import BUSIEST_HOUR, arrivals
from services.delivery.association import Peer
from services.demonstration.pacs import StandInPacs
from services.embedded import Embedded
from services.ledger.database import connect
from services.processes import machine_busy_s
from services.settings import Settings, load_settings
from services.storage.local import LocalStore

ASSOCIATIONS = 2
SCANNERS = {"CT": ("CT-EMERGENCY", "CT-WARD", "CT-TRAUMA"), "MR": ("MR-1", "MR-2"), "prior": ("PACS-PRIORS",)}
PRIORS = 0.15
"""Share of studies whose patient has an earlier one that the PACS sends along."""
PRIOR = "none-1"
PATIENCE_S = 420.0
ALONE = 50_000
"""Numbers from here on belong to the studies that are sent alone."""


@dataclass(frozen=True)
class Plan:
    """What is simulated.

    Attributes:
        compression: simulated time runs so many times faster than the clock.
        from_h: time of day it begins at, hours.
    """

    studies_per_day: float = 1000.0
    minutes: float = 10.0
    compression: float = 2.5
    from_h: float = BUSIEST_HOUR
    seed: int = 76
    matrix: int = 512
    mix: tuple[Kind, ...] = MIX

    @property
    def measured(self) -> tuple[Kind, ...]:
        """Sent alone first: for each model the first of the mix, and one that no model is meant for."""
        return tuple({kind.model: kind for kind in reversed(self.mix)}.values())

    @property
    def first_number(self) -> int:
        """Studies are numbered from here; another seed makes other studies."""
        return self.seed * 2 * ALONE


@dataclass(frozen=True)
class Target:
    """A service that runs: where scanners send, its ledger, and what can be looked at from here.

    Attributes:
        store: None where its bytes lie elsewhere.
        received: None where no PACS can be asked.
        watch: None where its processes run elsewhere.
    """

    peer: Peer
    database_url: str
    store: LocalStore | None = None
    received: Callable[[str], set[str]] | None = None
    watch: Watch | None = None


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Start embedded mode, send each kind of study alone, then the plan's arrivals."""
    plan = Plan(minutes=2, compression=12, studies_per_day=700, matrix=128) if quick else Plan()
    templates = write_templates(scratch / "phantoms", MIX, matrix=plan.matrix)
    with _embedded(scratch) as target:
        return run(plan, templates, target)


def run(plan: Plan, templates: dict[str, Template], target: Target) -> Measured:
    """Alone, then together; figures, and what the capacity model is calibrated by."""
    alone = _send_alone(plan, templates, target)
    began, busy = time.monotonic(), (machine_busy_s(), _cpu_s(target))
    sent = _send_day(plan, templates, target)
    took_s = time.monotonic() - began
    passages, custody = _outcome(target, sent)
    if custody.losses:
        raise RuntimeError(f"Accepted work was lost: {custody.wrong}")
    cpu_s = {name: taken - busy[1].get(name, 0.0) for name, taken in _cpu_s(target).items()}
    free = _free_cores(machine_busy_s() - busy[0], sum(cpu_s.values()), took_s)
    answered = sorted({passage.model for passage in passages})
    figures = [
        Figure("studies sent", len(sent), "studies"),
        Figure("of them priors", sum(each.prior for each in sent), "studies"),
        Figure("instances acknowledged", custody.acknowledged, "instances"),
        Figure("sent again", sum(each.tries for each in sent), "instances"),
        Figure("throughput from the first request to the last result", len(sent) / took_s * 3600, "studies/h"),
        Figure("intake while scanners sent: median of studies", median(map(_rate, sent)), "instances/s"),
    ]
    for model in answered:
        seconds = [p.flag_s for p in passages if p.model == model and p.flag_s is not None]
        figures += [
            Figure(f"{model}: last slice to flag, {name}", float(np.percentile(seconds, share)), "s")
            for name, share in (("median", 50), ("95th percentile", 95), ("99th percentile", 99))
        ]
        figures.append(Figure(f"{model}: alone, on the same machine", _alone_s(alone, model), "s"))
    figures += [
        Figure("accepted work lost", custody.losses, "instances and studies"),
        *(Figure(f"CPU of {name}, a study", taken / len(sent), "s") for name, taken in cpu_s.items()),
        *(Figure(f"most memory of {name}", mib, "MiB") for name, mib in _peak_mib(target).items()),
    ]
    if target.watch is not None:
        figures.append(Figure("cores that were left for it, on average", free, "cores"))
    return Measured(_conditions(plan, target, free), tuple(figures), _data(plan, alone, sent, passages, free, cpu_s))


def _conditions(plan: Plan, target: Target, free: float) -> str:
    cores = len(os.sched_getaffinity(0))
    where = f"embedded mode, one replica a model, {cores} cores."
    if target.watch is None:
        where = "a service that runs elsewhere."
    elif free < 0.85 * cores:
        where += f" **Under load of others (training)**: they took the rest, {free:.2g} cores were left."
    senders = sum(map(len, SCANNERS.values()))
    return (
        f"{plan.minutes:g} minutes from {plan.from_h:g}:00 of a hospital that sends {plan.studies_per_day:g} studies a "
        f"day, {plan.compression:g} times as fast, of {plan.matrix} x {plan.matrix}; {senders} "
        f"senders with {ASSOCIATIONS} associations each; {where}"
    )


def _send_alone(plan: Plan, templates: dict[str, Template], target: Target) -> dict[str, dict[str, Any]]:
    """Each kind one after another with nothing else to do, stage by stage and CPU by part; the second of two counts."""
    found: dict[str, dict[str, Any]] = {}
    with Scanner("CALIBRATION", target.peer, ASSOCIATIONS) as scanner:
        for number, kind in enumerate([each for each in plan.measured for _ in range(2)]):
            before = _cpu_s(target)
            sent = scanner.take(templates[kind.name].study(plan.first_number + ALONE + number))
            _wait_settled(target, [sent])
            time.sleep(1.0)  # what follows an end, such as a heartbeat, is not the next study's
            passages = _outcome(target, [sent])[0]
            found[kind.name] = {
                "model": kind.model,
                "instances": sent.study.instances,
                "megabytes": sum(len(data) for files in sent.study.series for data in files) / 1e6,
                "analyses": len(passages),
                "send_s": sent.ended_at - sent.began_at,
                "flag_s": max((p.flag_s or 0.0 for p in passages), default=0.0),
                "stages_s": mean_stages(passages),
                "cpu_s": {name: taken - before.get(name, 0.0) for name, taken in _cpu_s(target).items()},
            }
    return found


def _alone_s(alone: dict[str, dict[str, Any]], model: str) -> float:
    return float(next(each["flag_s"] for each in alone.values() if each["model"] == model))


def _send_day(plan: Plan, templates: dict[str, Template], target: Target) -> list[Sent]:
    """Hand every study to a scanner of its modality when its time comes; returns once all have ended."""
    rng = np.random.default_rng(plan.seed)
    times = arrivals(plan.studies_per_day, plan.from_h, 60 * plan.minutes, rng) / plan.compression
    due = list(_studies(plan, times.tolist(), templates, rng))
    heapq.heapify(due)
    sent: list[Sent] = []
    with ExitStack() as stack:
        scanners = {
            kind: [stack.enter_context(Scanner(name, target.peer, ASSOCIATIONS)) for name in names]
            for kind, names in SCANNERS.items()
        }
        began = time.monotonic()
        for number in range(len(due)):
            at_s, _, study, prior = heapq.heappop(due)
            time.sleep(max(0.0, began + at_s - time.monotonic()))
            able = scanners["prior" if prior else study.kind.modality]
            sent.append(able[number % len(able)].take(study, prior=prior))
        if not wait_sent(sent, PATIENCE_S):
            raise RuntimeError("Not every study could be sent.")
    _wait_settled(target, sent)
    return sent


def _studies(
    plan: Plan, times: Sequence[float], templates: dict[str, Template], rng: np.random.Generator
) -> Iterator[tuple[float, int, Study, bool]]:
    """(When, number, study, whether it is a prior) of each study that is sent."""
    shares = np.array([kind.share for kind in plan.mix])
    for number, at_s in zip(count(plan.first_number, 2), times, strict=False):
        kind = plan.mix[int(rng.choice(len(plan.mix), p=shares / shares.sum()))]
        yield at_s, number, templates[kind.name].study(number), False
        if rng.random() < PRIORS:
            prior = templates[PRIOR].study(number + 1, patient=number, prior=True)
            yield at_s + rng.uniform(0, 5), number + 1, prior, True


def _wait_settled(target: Target, sent: Sequence[Sent]) -> None:
    end = time.monotonic() + PATIENCE_S
    wait_sent(sent, PATIENCE_S)
    with connect(target.database_url, autocommit=True) as connection:
        while not settled(connection, sent):
            if time.monotonic() > end:
                return  # the custody says what is missing
            time.sleep(0.5)


def _outcome(target: Target, sent: Sequence[Sent]) -> tuple[list[Passage], Custody]:
    with connect(target.database_url, autocommit=True) as connection:
        passages = read_passages(connection, [each.study.study_uid for each in sent])
        return passages, judge(connection, sent, target.store, target.received)


def _data(
    plan: Plan,
    alone: dict[str, dict[str, Any]],
    sent: Sequence[Sent],
    passages: Sequence[Passage],
    free: float,
    cpu_s: dict[str, float],
) -> dict[str, Any]:
    """What `nightjar capacity` is calibrated by, and held against; times from the first request on."""
    origin = min(each.asked_at for each in sent)
    kinds = {each.study.study_uid: each.study.kind.name for each in sent}
    return {
        "plan": {name: value for name, value in asdict(plan).items() if name != "mix"},
        "mix": {kind.name: _rounded(sum(e.share for e in plan.mix if e.model == kind.model)) for kind in plan.measured},
        "alone": _rounded(alone),
        "cores": _rounded(free),
        "cpu_s_a_study": _rounded({name: taken / len(sent) for name, taken in cpu_s.items()}),
        "studies": [
            {"kind": each.study.kind.name, "asked_s": _rounded(each.asked_at - origin), "prior": each.prior}
            for each in sorted(sent, key=lambda each: each.asked_at)
        ],
        "analyses": [
            {
                "kind": kinds[p.study_uid],
                "model": p.model,
                "last_instance_s": _rounded(p.last_instance_at - origin),
                "flag_s": _rounded(p.flag_s),
                "stages_s": _rounded(list(p.stages)),
            }
            for p in passages
        ],
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 3) if isinstance(value, float) else value


def _rate(sent: Sent) -> float:
    return len(sent.acknowledged) / max(sent.ended_at - sent.began_at, 1e-3)


def _free_cores(busy_s: float, ours_s: float, took_s: float) -> float:
    """Cores that other processes left: those of the machine less what they used."""
    cores = len(os.sched_getaffinity(0))
    return cores - max(0.0, busy_s - ours_s) / took_s


def _cpu_s(target: Target) -> dict[str, float]:
    return {} if target.watch is None else target.watch.cpu_s()


def _peak_mib(target: Target) -> dict[str, float]:
    return {} if target.watch is None else target.watch.peak_mib()


@contextmanager
def _embedded(scratch: Path) -> Iterator[Target]:
    with socket.socket() as router, socket.socket() as web:
        for probe in (router, web):
            probe.bind(("127.0.0.1", 0))
        ports = router.getsockname()[1], web.getsockname()[1]
    with ExitStack() as stack:
        pacs = stack.enter_context(StandInPacs(scratch / "pacs", knows=lambda _: True))
        settings = Settings.model_validate(
            {
                "data_dir": scratch / "service",
                "router": {"port": ports[0], "low_disk_mb": 0},
                "web": {"port": ports[1]},
                "inference": {"models": sorted({kind.model for kind in MIX if kind.model})},
                "destinations": [pacs.destination],
            }
        )
        service = stack.enter_context(Embedded(settings))
        service.wait_ready()
        watch = stack.enter_context(Watch(service.processes))
        yield Target(
            Peer(settings.router.ae_title, settings.router.host, ports[0]),
            service.settings.database_url,
            LocalStore(settings.store_path),
            lambda uid: {result.sop_instance_uid for result in pacs.received(uid)},
            watch,
        )


def main() -> int:
    default = Plan()
    parser = argparse.ArgumentParser(prog="python -m load_tests.load", description=__doc__.splitlines()[0])
    parser.add_argument("--at", required=True, metavar="AE@HOST:PORT", help="where scanners send")
    parser.add_argument("--config", type=Path, required=True, help="settings that name the ledger (database.url)")
    parser.add_argument("--studies-per-day", type=float, default=default.studies_per_day)
    parser.add_argument("--minutes", type=float, default=default.minutes, help="simulated")
    parser.add_argument("--compression", type=float, default=1.0)
    parser.add_argument("--from-hour", type=float, default=default.from_h)
    parser.add_argument("--matrix", type=int, default=default.matrix, help="rows and columns of CT images")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 10**5, help="another one sends other studies")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="load.json and the studies go here")
    arguments = parser.parse_args()
    title, _, address = arguments.at.rpartition("@")
    host, _, port = address.rpartition(":")
    plan = Plan(
        arguments.studies_per_day,
        arguments.minutes,
        arguments.compression,
        arguments.from_hour,
        arguments.seed,
        arguments.matrix,
    )
    templates = write_templates(arguments.out / "phantoms", MIX, matrix=plan.matrix)
    target = Target(Peer(title, host, int(port)), load_settings(arguments.config).database_url)
    print(record.write("load", " ".join(sys.argv), run(plan, templates, target), arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
