"""Where a head CT's seconds and memory go, in ONNX Runtime and in OpenVINO side by side."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from load_tests.analysis import THREADS
from load_tests.heads import write_thick_and_thin
from load_tests.record import Figure, Measured
from models.engines import EngineChoice

ENGINES: tuple[EngineChoice, ...] = ("onnxruntime", "openvino")
STEPS = ("read", "preprocess", "network", "postprocess", "encode")


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Each study by turns through each engine, each time in a fresh process; medians count."""
    rounds, runs = (1, 1) if quick else (3, 3)
    figures: list[Figure] = []
    names: list[str] = []
    found: list[str] = []
    for folder in write_thick_and_thin(scratch, quick=quick):
        said: dict[str, list[dict[str, Any]]] = {engine: [] for engine in ENGINES}
        for _ in range(rounds):
            for engine in ENGINES:
                said[engine].append(_run(engine, folder, runs))
        names = [said[engine][0]["engine"] for engine in ENGINES]
        first = said[ENGINES[0]][0]
        shape = " x ".join(map(str, first["shape"]))
        found.append(f"in {shape}: {', '.join(first['found']) or 'nothing'}")
        figures += _figures(shape, said)
    return Measured(
        f"{' and '.join(names)}, {THREADS} CPU threads, median of {rounds} x {runs} in fresh processes by turns. "
        "Encode: SEG and SR, output gate included. Peak memory of the process from start to the last findings, "
        f"encoding left out. Found {'; '.join(found)}. No GPU, no TensorRT.",
        tuple(figures),
    )


def _figures(shape: str, said: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    figures = []
    steps = {
        engine: {step: median(run["steps_s"][step] for run in taken) for step in STEPS}
        for engine, taken in said.items()
    }
    peaks = {engine: median(run["peak_mib"] for run in taken) for engine, taken in said.items()}
    for engine in ENGINES:
        figures += [Figure(f"{shape}, {engine}: {step}", steps[engine][step], "s") for step in STEPS]
        figures.append(Figure(f"{shape}, {engine}: all five", sum(steps[engine].values()), "s"))
        figures.append(Figure(f"{shape}, {engine}: peak memory", peaks[engine], "MiB"))
        opened = median(run["opened_s"] for run in said[engine])
        figures.append(Figure(f"{shape}, {engine}: load and open the engine", opened, "s"))
    one, other = ENGINES
    ratios = {
        "network": steps[other]["network"] / steps[one]["network"],
        "all five": sum(steps[other].values()) / sum(steps[one].values()),
        "peak memory": peaks[other] / peaks[one],
    }
    figures += [Figure(f"{shape}, {other} to {one}: {what}", ratio, "x") for what, ratio in ratios.items()]
    return figures


def _run(engine: EngineChoice, folder: Path, runs: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "load_tests.analysis", engine, str(folder), str(runs)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said
