"""Seconds a head CT spends in each step of the ICH model."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from scipy.special import softmax

from load_tests.heads import write_head
from load_tests.record import Figure, Measured
from models.card import Card
from models.dicom import read_folder
from models.engines import Engine, open_engine
from models.ich.postprocess import find, read_probabilities
from models.ich.preprocess import prepare
from models.registry import FOLDER, load_card

THREADS = 2


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Read, preprocess, network, postprocess, again and again; the median counts."""
    folder = write_head(scratch, quick=quick)
    card = load_card("ich")
    engine = open_engine(FOLDER / "ich" / card.weights.file, threads=THREADS)
    runs = 1 if quick else 5
    taken = [_steps(folder, card, engine) for _ in range(runs + 1)][1:]  # the first run warms up
    medians = {step: median(run[step] for run in taken) for step in taken[0]}
    figures = [Figure(step, value, "s") for step, value in medians.items()]
    figures.append(Figure("all four", sum(medians.values()), "s"))
    shape = " x ".join(map(str, read_folder(folder, "CT").voxels.shape))
    return Measured(
        f"ich {card.version}, {shape} from DICOM, {engine.name} on {THREADS} CPU threads, median of {runs}. "
        "No GPU, no TensorRT.",
        tuple(figures),
    )


def _steps(folder: Path, card: Card, engine: Engine) -> dict[str, float]:
    """One analysis; seconds by step."""
    lap = _stopwatch()
    volume = read_folder(folder, "CT")
    read = lap()
    slices = prepare(volume, card.preprocess)
    stacks = slices.stacks()
    preprocess = lap()
    logits = np.concatenate(
        [engine.run({"slices": stacks[n : n + card.batch]})["logits"] for n in range(0, len(stacks), card.batch)]
    )
    network = lap()
    find(read_probabilities(np.asarray(softmax(logits, axis=1), np.float32), slices, volume, card), volume, card)
    return {"read": read, "preprocess": preprocess, "network": network, "postprocess": lap()}


def _stopwatch() -> Callable[[], float]:
    """Gives the seconds since it was last asked."""
    last = time.monotonic()

    def lap() -> float:
        nonlocal last
        before, last = last, time.monotonic()
        return last - before

    return lap
