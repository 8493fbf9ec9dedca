"""Seconds a stage and peak memory of the models that have no bench of their own, one after another.

A model is a function of `MODELS` that makes its input and names its stages.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from load_tests import accuracy, record
from load_tests.analysis import Stopwatch
from load_tests.record import Figure, Measured
from models.engines import open_engine
from models.phase import PhaseEncoding
from models.registry import FOLDER, Model, load_card, load_model
from models.volume import Volume

THREADS = 2
ROUNDS = 3


@dataclass(frozen=True)
class Taken:
    """Seconds by stage, and of the processor in all of them; `conditions` says what was analysed by what."""

    conditions: str
    stages_s: dict[str, float]
    processor_s: float


def enhance(*, quick: bool) -> Taken:
    """200 slices of 256 x 256, 70 percent of their lines: noise, which takes as long as a head."""
    from models.enhance.model import EnhanceModel
    from models.enhance.preprocess import prepare

    slices = 4 if quick else 200
    rng = np.random.default_rng(0)
    volume = Volume(
        voxels=rng.random((slices, 256, 256), np.float32) * 1000,
        positions_mm=np.arange(slices)[:, None] * np.array([[0.0, 0.0, 1.0]]),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(0.9, 0.9),
        encoding=PhaseEncoding(2, 0.35, 0.5, 0.5),
    )
    model = load_model("enhance", threads=THREADS)
    assert isinstance(model, EnhanceModel)
    model.engine.run({"slices": np.zeros((model.card.batch, 2, 256, 256), np.float32)})
    stages: dict[str, float] = {}
    began, at = time.process_time(), time.perf_counter()

    def took(stage: str) -> None:
        nonlocal at
        now = time.perf_counter()
        stages[stage] = now - at
        at = now

    planes = prepare(volume)
    took("prepare")
    detail = model.detail(planes)
    took("network")
    planes.restore(detail)
    took("data consistency")
    return Taken(f"{slices} slices of 256 x 256, {model.engine.name}", stages, time.process_time() - began)


def ais(*, quick: bool) -> Taken:
    """A ball of brain with a core in it, on the grid of a stroke protocol: it takes as long as a head."""
    grid = (8, 64, 64) if quick else (32, 192, 192)
    brain, core = ball(grid, 0.8), ball(grid, 0.2)
    noise = np.random.default_rng(0).normal(1, 0.05, grid)
    inputs = {
        "DWI": head(noise * np.select([core, brain], [600.0, 250.0])),
        "ADC": head(noise * np.select([core, brain], [420.0, 800.0])),
        "FLAIR": head(noise * np.select([core, brain], [300.0, 280.0])),
    }
    return predicted("ais", inputs, f"DWI, ADC and FLAIR of {' x '.join(map(str, grid))}")


def tumour(*, quick: bool) -> Taken:
    """A ball of brain with a rim that takes up contrast, in the four sequences on one grid."""
    grid = (8, 64, 64) if quick else (32, 256, 256)
    return predicted("tumour", tumour_inputs(grid), f"four sequences of {' x '.join(map(str, grid))}")


def tumour_inputs(grid: tuple[int, int, int]) -> dict[str, Volume]:
    """The four sequences of that ball."""
    brain, swollen, rim, core = (ball(grid, radius) for radius in (0.8, 0.4, 0.25, 0.15))
    noise = np.random.default_rng(0).normal(1, 0.05, grid)
    values = {"T1": (250, 350, 400, 500), "T1c": (250, 900, 400, 500), "T2": (900, 500, 700, 350)}
    values["FLAIR"] = (400, 600, 700, 350)
    return {role: head(noise * np.select([core, rim, swollen, brain], one)) for role, one in values.items()}


def ball(grid: tuple[int, int, int], radius: float) -> NDArray[np.bool_]:
    """Voxels within a share of half the grid from its middle."""
    away = np.meshgrid(*(np.linspace(-1, 1, size) for size in grid), indexing="ij")
    return np.asarray(np.sqrt(sum(axis**2 for axis in away)) < radius)


def head(voxels: NDArray[np.float64]) -> Volume:
    """Axial slices that cover a head, whatever their number."""
    slices, rows, columns = voxels.shape
    return Volume(
        voxels=voxels.astype(np.float32),
        positions_mm=np.arange(slices)[:, None] * np.array([[0.0, 0.0, 160 / slices]]),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(230 / rows, 230 / columns),
    )


def predicted(name: str, inputs: dict[str, Volume], what: str) -> Taken:
    """A model from volumes to findings: what comes before its network, the network, and what comes after."""
    card = load_card(name)
    engine = Stopwatch(open_engine(FOLDER / name / card.weights.file, threads=THREADS))
    model: Model = import_module(f"models.{name}.model").create(card, engine)
    model.predict(inputs)
    engine.first_asked, engine.seconds = None, 0.0
    began, at = time.process_time(), time.monotonic()
    model.predict(inputs)
    whole_s, processor_s = time.monotonic() - at, time.process_time() - began
    assert engine.first_asked is not None
    before_s = engine.first_asked - at
    stages = {"prepare": before_s, "network": engine.seconds, "read": whole_s - before_s - engine.seconds}
    return Taken(f"{what}, {engine.name}", stages, processor_s)


MODELS: dict[str, Callable[..., Taken]] = {"ais": ais, "tumour": tumour, "enhance": enhance}


def measure(scratch: Path, *, quick: bool) -> Measured:  # noqa: ARG001 - every bench takes one
    """Each model in fresh processes; medians count."""
    figures: list[Figure] = []
    conditions = []
    for name in MODELS:
        said = [_run(name, quick) for _ in range(1 if quick else ROUNDS)]
        conditions.append(f"{name}: {said[0]['conditions']}")
        for stage in said[0]["stages_s"]:
            figures.append(Figure(f"{name}: {stage}", median(run["stages_s"][stage] for run in said), "s"))
        whole = [sum(run["stages_s"].values()) for run in said]
        figures.append(Figure(f"{name}: all stages", median(whole), "s"))
        figures.append(Figure(f"{name}: all stages, processor", median(run["processor_s"] for run in said), "s"))
        figures.append(Figure(f"{name}: peak memory", median(run["peak_mib"] for run in said), "MiB"))
    return Measured(
        f"{'; '.join(conditions)}. {THREADS} CPU threads, median of {1 if quick else ROUNDS} fresh processes. Seconds "
        "by the clock, on a machine as busy as its load average says; processor seconds of all threads. No GPU.",
        tuple(figures),
        {accuracy.KEY: accuracy.kept(record.FOLDER)},
    )


def _run(name: str, quick: bool) -> dict[str, Any]:
    command = [sys.executable, "-m", "load_tests.models", name, *(["quick"] if quick else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


if __name__ == "__main__":
    taken = MODELS[sys.argv[1]](quick="quick" in sys.argv)
    print(json.dumps(asdict(taken) | {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
