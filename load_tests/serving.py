"""What a call through Ray Serve costs, what a bleed waits for among other work, what a lost replica costs, and how
fast engines are.

Every stage has a process of its own and leaves its figures in a file; a run of the same commit that failed in one goes
on with what is missing.
"""

import json
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from load_tests.engines import measure_engines
from load_tests.loss import measure_loss
from load_tests.parity import study
from load_tests.record import Figure, Measured, commit
from load_tests.urgency import measure_urgency
from models.preview import render_preview
from models.registry import list_models, load_model
from models.volume import Volume
from services.inference.deployment import ModelServer
from services.settings import InferenceSettings

VOLUME = (20, 512, 512)
"""float32: 21 MB."""
THREADS = 2
TIMEOUT_S = 600.0
STAGE_S = 900.0
MOST_OVERHEAD, MOST_OVERHEAD_S = 1.05, 0.010
MOST_URGENT, LEAST_THROUGHPUT, MOST_LOSS = 1.2, 0.95, 2.0
"""What issue and documentation promise: see docs/serving.md."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """Part of what is measured.

    Attributes:
        data: what the sizes in docs/serving.md are computed from.
    """

    conditions: str
    figures: list[Figure]
    data: dict[str, Any]


def overhead(scratch: Path, *, quick: bool) -> Stage:
    """A volume of 21 MB through the model in this process and through Serve, by turns."""
    volume = head(scratch, quick=quick)
    inputs, runs = {"NCCT": volume}, 2 if quick else 11
    bare = load_model("ich", threads=THREADS)

    def call_bare() -> None:
        render_preview(volume, bare.predict(inputs).segmentation, len(volume.voxels) // 2)

    server = ModelServer(InferenceSettings(models=("ich",), threads=THREADS, timeout_s=TIMEOUT_S))
    started = time.monotonic()
    server.start()
    start_s = time.monotonic() - started
    try:
        pairs = [(_seconds(call_bare), _seconds(lambda: server.analyse("ich", inputs))) for _ in range(runs + 1)][1:]
        reference_s, value_s = _hand_over(2 if quick else 15)
    finally:
        server.stop()
    bare_s, served_s = (median(taken) for taken in zip(*pairs, strict=True))
    return Stage(
        f"Overhead: ich, {_shape(volume)} float32, one replica, {THREADS} CPU threads, median of {runs} pairs. By "
        f"reference: {' x '.join(map(str, VOLUME))} float32 through the object store, which the other process reads "
        "where it lies, against the same bytes in the call itself, copied on both sides.",
        [
            Figure("model in this process", bare_s * 1000, "ms"),
            Figure("model through Ray Serve", served_s * 1000, "ms"),
            Figure("overhead", median(served - alone for alone, served in pairs) * 1000, "ms"),
            Figure("served to bare", served_s / bare_s, "x"),
            Figure("start of Ray, Serve and the replica", start_s, "s"),
            Figure("21 MB by reference", reference_s * 1000, "ms"),
            Figure("21 MB by value", value_s * 1000, "ms"),
            Figure("by reference to by value", reference_s / value_s, "x"),
        ],
        {},
    )


def urgency(scratch: Path, *, quick: bool) -> Stage:
    """Bleeds among enhancements and tumours."""
    server = ModelServer(InferenceSettings(models=("ich", "enhance", "tumour"), threads=THREADS, timeout_s=TIMEOUT_S))
    server.start()
    try:
        figures, conditions = measure_urgency(server, {"NCCT": head(scratch, quick=quick)}, quick=quick)
    finally:
        server.stop()
    return Stage(conditions, figures, {})


def loss(scratch: Path, *, quick: bool) -> Stage:
    """One of two replicas killed in a stream of heads."""
    server = ModelServer(InferenceSettings(models=("ich",), replicas=2, threads=1, timeout_s=TIMEOUT_S))
    server.start()
    try:
        figures, conditions = measure_loss(server, {"NCCT": head(scratch, quick=quick)}, quick=quick)
    finally:
        server.stop()
    return Stage(conditions, figures, {})


def engines(scratch: Path, *, quick: bool) -> Stage:  # noqa: ARG001 - every stage takes one
    """A batch of every network on every engine."""
    figures, conditions = measure_engines(THREADS, quick=quick)
    return Stage(conditions, figures, {})


def sizes(scratch: Path, *, quick: bool) -> Stage:
    """One study of every model through Serve, the replica alone on the machine."""
    figures, data = [], {}
    names = [card.name for card in list_models()]
    for name in names[:1] if quick else names:
        inputs = study(name, scratch, 128 if quick else 512)
        server = ModelServer(InferenceSettings(models=(name,), threads=THREADS, timeout_s=TIMEOUT_S))
        server.start()
        try:
            taken_s = median([_seconds(lambda: server.analyse(name, inputs)) for _ in range(2 if quick else 3)][1:])  # noqa: B023
        finally:
            server.stop()
        figures.append(Figure(f"{name}: one study", taken_s, "s"))
        data[name] = {"study": ", ".join(f"{role} {_shape(one)}" for role, one in inputs.items()), "seconds": taken_s}
    return Stage(
        f"Sizes: one study of the demonstration for each model, the only one on the machine, {THREADS} CPU threads, "
        "from the call with the volumes to the answer; the first call is not counted.",
        figures,
        {"threads": THREADS, "analyses": data},
    )


STAGES: dict[str, Callable[..., Stage]] = {
    "overhead": overhead,
    "urgency": urgency,
    "loss": loss,
    "engines": engines,
    "sizes": sizes,
}


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Every stage that this commit has not measured yet; what failed is said, and tried again by the next run.

    Raises:
        RuntimeError: no stage left figures.
    """
    folder = Path(tempfile.gettempdir()) / f"nightjar-serving-{commit()}{'-quick' if quick else ''}"
    folder.mkdir(exist_ok=True)
    found, failed = {}, []
    for name in STAGES:
        path = folder / f"{name}.json"
        if not path.exists():
            _run(name, path, scratch / name, quick=quick)
        if path.exists():
            said = json.loads(path.read_text(encoding="utf-8"))
            found[name] = Stage(said["conditions"], [Figure(**each) for each in said["figures"]], said["data"])
        else:
            failed.append(name)
    if not found:
        raise RuntimeError("No stage left figures; see above why.")
    if not failed:
        shutil.rmtree(folder)
    figures = [figure for stage in found.values() for figure in stage.figures]
    missing = [f"Failed, and without figures: {', '.join(failed)}."] if failed else []
    return Measured(
        " ".join([*(stage.conditions for stage in found.values()), *missing]),
        tuple(figures),
        {"promised": promised(figures)} | {key: value for stage in found.values() for key, value in stage.data.items()},
    )


def promised(figures: list[Figure]) -> list[dict[str, Any]]:
    """What was promised about serving, held against what was measured; what has no figure is left out."""
    values = {figure.what: figure.value for figure in figures}
    limits: list[tuple[str, str, Callable[[float], bool]]] = [
        ("served to bare", f"{MOST_OVERHEAD} or {MOST_OVERHEAD_S * 1000:g} ms",
         lambda ratio: ratio <= MOST_OVERHEAD or values["overhead"] <= MOST_OVERHEAD_S * 1000),
        ("by reference to by value", "below 1", lambda ratio: ratio < 1),
        ("bleed at 90 % load to idle, p95", f"{MOST_URGENT} at most", lambda ratio: ratio <= MOST_URGENT),
        ("throughput with overtaking to first in, first out", f"{LEAST_THROUGHPUT} at least",
         lambda ratio: ratio >= LEAST_THROUGHPUT),
        ("a replica lost to none lost, p99", f"{MOST_LOSS:g} at most", lambda ratio: ratio <= MOST_LOSS),
    ]  # fmt: skip
    return [
        {"what": what, "value": values[what], "promised": words, "kept": kept(values[what])}
        for what, words, kept in limits
        if what in values
    ]


def head(scratch: Path, *, quick: bool) -> Volume:
    """A head CT of VOLUME; smaller in-plane when quick."""
    [volume] = study("ich", scratch, 128 if quick else VOLUME[1]).values()
    kept = VOLUME[0]
    return replace(
        volume,
        voxels=np.ascontiguousarray(volume.voxels[:kept]),
        positions_mm=volume.positions_mm[:kept],
        sources=volume.sources[:kept],
    )


def _run(name: str, path: Path, scratch: Path, *, quick: bool) -> None:
    command = [sys.executable, "-m", "load_tests.serving", name, str(path), str(scratch), *(["quick"] if quick else [])]
    try:
        subprocess.run(command, check=True, timeout=STAGE_S, cwd=Path(__file__).parents[1])
    except subprocess.SubprocessError as error:
        logger.warning("The stage %s failed (%s).", name, type(error).__name__)


def _shape(volume: Volume) -> str:
    return " x ".join(map(str, volume.voxels.shape))


def _hand_over(runs: int) -> tuple[float, float]:
    """Median seconds to give another process a volume and have it looked at, by reference and by value."""
    import ray

    volume = np.random.default_rng(0).random(VOLUME, np.float32)
    seen = volume.size // 4  # what the actor closes over travels with it

    @ray.remote(num_cpus=0)
    class Reader:
        def array(self, array: np.ndarray) -> float:
            return float(array[::4].sum())

        def pickled(self, content: bytes) -> float:
            return float(np.frombuffer(bytearray(content), np.float32)[:seen].sum())

    reader = Reader.remote()  # type: ignore[attr-defined]
    ways: tuple[Callable[[], object], ...] = (
        lambda: ray.get(reader.array.remote(ray.put(volume))),
        lambda: ray.get(reader.pickled.remote(volume.tobytes())),
    )
    taken = [[_seconds(way) for way in ways] for _ in range(runs + 1)][1:]
    by_reference, by_value = (median(seconds) for seconds in zip(*taken, strict=True))
    return by_reference, by_value


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    stage, path, scratch = STAGES[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3])
    scratch.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".part")
    whole.write_text(json.dumps(asdict(stage(scratch, quick="quick" in sys.argv[4:]))), encoding="utf-8")
    whole.replace(path)
