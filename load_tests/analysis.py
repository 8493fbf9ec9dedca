"""python -m load_tests.analysis ENGINE FOLDER RUNS: one study through one engine, in a process of its own.

Prints JSON: median seconds by step, peak memory until the last analysis, and what was found.
"""

import argparse
import json
import re
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from models.dicom import read_folder
from models.engines import Engine, EngineChoice, Tensors, open_engine
from models.prediction import Prediction
from models.registry import FOLDER, Model, load_card
from services.results.answer import Answer
from services.results.encode import encode, labels_of, measurements_of, sources_of

THREADS = 2


@dataclass
class Stopwatch:
    """An engine that knows when it was first asked, and how long it ran in all."""

    engine: Engine
    first_asked: float | None = None
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return self.engine.name

    def run(self, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        started = time.monotonic()
        if self.first_asked is None:
            self.first_asked = started
        try:
            return self.engine.run(inputs)
        finally:
            self.seconds += time.monotonic() - started


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m load_tests.analysis", description=__doc__)
    parser.add_argument("engine", choices=get_args(EngineChoice))
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", type=int)
    arguments = parser.parse_args()
    card = load_card("ich")
    weights = FOLDER / "ich" / card.weights.file
    started = time.monotonic()
    engine = Stopwatch(open_engine(weights, threads=THREADS, engine=arguments.engine))
    opened_s = time.monotonic() - started
    model: Model = import_module("models.ich.model").create(card, engine)
    taken = [analyse(arguments.folder, model, engine) for _ in range(arguments.runs + 1)]
    peak_mib = peak_memory_mib()
    prediction = taken[-1][1]
    # The first run warms up.
    steps = {step: median(seconds[step] for seconds, _ in taken[1:]) for step in taken[0][0]}
    steps["encode"] = median([encode_s(arguments.folder, model, prediction) for _ in range(arguments.runs + 1)][1:])
    said: dict[str, Any] = {
        "engine": engine.name,
        "shape": prediction.segmentation.shape,
        "found": [finding.label for finding in prediction.findings],
        "opened_s": opened_s,
        "steps_s": steps,
        "peak_mib": peak_mib,
    }
    print(json.dumps(said))
    return 0


def analyse(folder: Path, model: Model, engine: Stopwatch) -> tuple[dict[str, float], Prediction]:
    """One analysis from the files to the findings, and the seconds of its steps.

    What the model does before it first asks its engine is preprocessing, what it does after that and outside the engine
    postprocessing.
    """
    started = time.monotonic()
    volume = read_folder(folder, "CT")
    read = time.monotonic()
    engine.first_asked, engine.seconds = None, 0.0
    prediction = model.predict({model.card.inputs[0].role: volume})
    done = time.monotonic()
    if engine.first_asked is None:
        raise RuntimeError("The model answered without its network.")
    steps = {
        "read": read - started,
        "preprocess": engine.first_asked - read,
        "network": engine.seconds,
        "postprocess": done - engine.first_asked - engine.seconds,
    }
    return steps, prediction


def encode_s(folder: Path, model: Model, prediction: Prediction) -> float:
    """Seconds from the instances and the prediction to a segmentation and a report that passed the output gate."""
    started = time.monotonic()
    answer = Answer(
        sources=sources_of([dcmread(path) for path in sorted(folder.iterdir())]),
        segmentation=prediction.segmentation,
        labels=labels_of(model.card),
        findings=prediction.findings,
        urgency=prediction.urgency,
        model=prediction.model,
        input_digest="0" * 64,
        analysed_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        measurements=measurements_of(model.card, prediction.measurements),
        parameters=prediction.parameters,
    )
    encode(answer)
    return time.monotonic() - started


def peak_memory_mib() -> float:
    """Most memory this process ever held resident."""
    # Not getrusage: a child starts with its parent's peak there.
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise RuntimeError("/proc/self/status does not tell the peak memory; this bench needs Linux.")
    return int(found[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
