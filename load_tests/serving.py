"""What a call through Ray Serve costs, what a bleed waits for in a stream of enhancements, and how fast engines are."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import ray

from load_tests.engines import measure_engines
from load_tests.heads import write_head
from load_tests.record import Figure, Measured
from load_tests.urgency import measure_urgency
from models.dicom import read_folder
from models.preview import render_preview
from models.registry import load_model
from services.inference.deployment import ModelServer
from services.settings import InferenceSettings

VOLUME = (20, 512, 512)
"""Of the volume that is handed over by reference and by value, float32: 21 MB."""


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Overhead and urgency by one server, then each engine on each network without one."""
    inputs = {"NCCT": read_folder(write_head(scratch / "whole", quick=quick), "CT")}
    small = {"NCCT": read_folder(write_head(scratch / "small", quick=True), "CT")}
    settings = InferenceSettings(models=("ich", "enhance"), timeout_s=600.0)
    bare = load_model("ich", threads=settings.threads)

    def call_bare() -> None:
        render_preview(inputs["NCCT"], bare.predict(inputs).segmentation, len(inputs["NCCT"].voxels) // 2)

    server = ModelServer(settings)
    started = time.monotonic()
    server.start()
    start_s = time.monotonic() - started
    runs = 2 if quick else 9
    try:
        pairs = [(_seconds(call_bare), _seconds(lambda: server.analyse("ich", inputs))) for _ in range(runs + 1)][1:]
        urgency, urgently = measure_urgency(server, small, quick=quick)
        reference_s, value_s = _hand_over(runs)
    finally:
        server.stop()
    bare_s, served_s = (median(taken) for taken in zip(*pairs, strict=True))
    overhead_s = median(served - alone for alone, served in pairs)
    engines, timed = measure_engines(settings.threads, quick=quick)
    return Measured(
        f"ich, {' x '.join(map(str, inputs['NCCT'].voxels.shape))} float32, one replica, {settings.threads} CPU "
        f"threads, median of {runs} pairs. By reference: {' x '.join(map(str, VOLUME))} float32 through the object "
        "store, which the other process reads where it lies, against the same bytes in the call itself, copied on both "
        f"sides. {urgently} {timed}",
        (
            Figure("model in this process", bare_s * 1000, "ms"),
            Figure("model through Ray Serve", served_s * 1000, "ms"),
            Figure("overhead", overhead_s * 1000, "ms"),
            Figure("served to bare", served_s / bare_s, "x"),
            Figure("start of Ray, Serve and the replicas", start_s, "s"),
            Figure("21 MB by reference", reference_s * 1000, "ms"),
            Figure("21 MB by value", value_s * 1000, "ms"),
            Figure("by reference to by value", reference_s / value_s, "x"),
            *urgency,
            *engines,
        ),
    )


def _hand_over(runs: int) -> tuple[float, float]:
    """Median seconds to give another process a volume and have it looked at, by reference and by value."""
    volume = np.random.default_rng(0).random(VOLUME, np.float32)

    @ray.remote(num_cpus=0)
    class Reader:
        def array(self, array: np.ndarray) -> float:
            return float(array[::4].sum())

        def pickled(self, content: bytes) -> float:
            return float(np.frombuffer(bytearray(content), np.float32)[: volume.size // 4].sum())

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
