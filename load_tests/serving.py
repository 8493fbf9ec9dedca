"""What a call through Ray Serve costs over calling the model in one's own process."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from load_tests.heads import write_head
from load_tests.record import Figure, Measured
from models.dicom import read_folder
from models.preview import render_preview
from models.registry import load_model
from services.inference.deployment import ModelServer
from services.settings import InferenceSettings


def measure(scratch: Path, *, quick: bool) -> Measured:
    """The same volume by turns to the replica and to the model here; both draw the worklist picture."""
    inputs = {"NCCT": read_folder(write_head(scratch, quick=quick), "CT")}
    settings = InferenceSettings(models=("ich",))
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
    finally:
        server.stop()
    bare_s, served_s = (median(taken) for taken in zip(*pairs, strict=True))
    overhead_s = median(served - alone for alone, served in pairs)
    return Measured(
        f"ich, {' x '.join(map(str, inputs['NCCT'].voxels.shape))} float32, one replica, {settings.threads} CPU "
        f"threads, median of {runs} pairs.",
        (
            Figure("model in this process", bare_s * 1000, "ms"),
            Figure("model through Ray Serve", served_s * 1000, "ms"),
            Figure("overhead", overhead_s * 1000, "ms"),
            Figure("served to bare", served_s / bare_s, "x"),
            Figure("start of Ray, Serve and the replica", start_s, "s"),
        ),
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started
