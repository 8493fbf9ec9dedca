"""How soon the quick viewer shows a head CT, and how fast it redraws, in headless Chromium without a GPU."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser
from psycopg.types.json import Jsonb
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_router.persist import persist
from load_tests.heads import make_labelled_head
from load_tests.pages import chromium, ledger, signed_in
from load_tests.record import Figure, Measured
from models.prediction import Finding, Urgency
from models.registry import load_card
from services.context import Context
from services.ledger import analyses, routing
from services.ledger.arrays import pack_array
from services.ledger.images import key_of
from services.ledger.intake import Sender, open_association

READY_S, REDRAW_MS = 1.0, 16.0
"""What the night radiologist was promised."""

# Canvas2D may put drawing off: a pixel read back makes it happen within what is timed.
_REDRAW = """(what) => {
  const view = document.getElementById("main").view();
  const { slices } = view.stack;
  const steps = {
    slice: (i) => view.goTo(i % slices),
    window: (i) => view.changeWindow(i % 2 ? 10 : -10, 0),
    planes: (i) => view.goTo(view.slice, view.point.map((mm, axis) => mm + (axis < 2 ? (i % 8) - 3.5 : 0))),
  };
  const taken = [];
  for (let i = 0; i < 2 * slices; i += 1) {
    const started = performance.now();
    steps[what](i);
    view.draw();
    for (const pane of Object.values(view.panes)) pane.context.getImageData(0, 0, 1, 1);
    taken.push(performance.now() - started);
  }
  return taken;
}"""
_SCROLL = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const taken = [];
  let before = await frame();
  for (let i = 0; i < 90; i += 1) {
    document.dispatchEvent(new KeyboardEvent("keydown", { key: i % 60 < 30 ? "ArrowDown" : "ArrowUp" }));
    const now = await frame();
    taken.push(now - before);
    before = now;
  }
  return taken;
}"""


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Open one study again and again, each time with a fresh web process's memory and a fresh browser profile."""
    rounds = 1 if quick else 9
    with ledger(scratch) as context, chromium() as browser:
        datasets, labels = make_labelled_head(quick=quick)
        key = fill(context, datasets, labels)
        opened = [_open(context, browser, key, redraw=number == rounds - 1) for number in range(rounds)]
        version = browser.version
    first, ready, complete = (median(each[name] for each in opened) for name in ("first", "ready", "complete"))
    redrawn: dict[str, list[float]] = {name: opened[-1][name] for name in ("slice", "window", "planes", "frames")}
    middles = {name: median(taken) for name, taken in redrawn.items()}
    figures = [
        Figure("first picture (one slice, PNG)", first, "ms"),
        Figure("ready: the whole series in three planes", ready, "ms"),
        Figure("outlines drawn, at the largest finding", complete, "ms"),
        Figure(f"ready to the {READY_S:g} s promised", ready / 1000 / READY_S, "x"),
    ]
    for name, what in (
        ("slice", "another slice"),
        ("window", "another window, three planes"),
        ("planes", "other reformatted planes"),
    ):
        figures.append(Figure(f"redraw, {what}: median", middles[name], "ms"))
        figures.append(Figure(f"redraw, {what}: 95th percentile", quantiles(redrawn[name], n=20)[-1], "ms"))
        figures.append(
            Figure(f"redraw, {what}: median to the {REDRAW_MS:g} ms promised", middles[name] / REDRAW_MS, "x")
        )
    figures.append(Figure("from frame to frame while scrolling, median", middles["frames"], "ms"))
    shape = " x ".join(map(str, labels.shape))
    return Measured(
        f"{shape}, gantry tilted, two outlined findings; headless Chromium {version} at 1280 x 720 with --disable-gpu, "
        f"web process and Postgres on the same machine, over loopback. Opening: median of {rounds}, each with nothing "
        "decoded or cached, from the start of the navigation. "
        f"Redraws: {len(redrawn['slice'])} each, the pixels read back.",
        tuple(figures),
    )


def fill(context: Context, datasets: list[Dataset], labels: NDArray[np.uint8]) -> str:
    """The study as intake and a model's answer leave it; what addresses call it."""
    study_uid, series_uid = datasets[0].StudyInstanceUID, datasets[0].SeriesInstanceUID
    sender = Sender(uuid.uuid4(), "BENCH", "NIGHTJAR", "127.0.0.1:1")
    with context.pool.connection() as connection:
        open_association(connection, sender, datetime.now(UTC))
    for dataset in datasets:
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = False, True
        write_dataset(buffer, dataset)
        persist(context, buffer.getvalue(), ExplicitVRLittleEndian, sender)
    with context.pool.connection() as connection:
        connection.execute("UPDATE study SET state = 'analysing'")
        row = connection.execute(
            """INSERT INTO analysis (study_uid, model, model_version, weights_digest, inputs, input_digest)
               VALUES (%s, 'ich', %s, 'bench', %s, %s) RETURNING id""",
            [
                study_uid,
                load_card("ich").version,
                Jsonb({"NCCT": series_uid}),
                routing.input_digest(connection, [series_uid]),
            ],
        ).fetchone()
        analysis = analyses.start(connection, row["id"]) if row is not None else None
        if analysis is None:
            raise RuntimeError("The bench's own analysis did not start.")
        analyses.finish(
            connection,
            analysis,
            findings=[
                Finding(name, 0.9, 20.0, Urgency.IMMEDIATE, int((labels == value).sum(axis=(1, 2)).argmax()))
                for name, value in (("IPH", 1), ("SDH", 3))
            ],
            urgency=Urgency.IMMEDIATE,
            probabilities={},
            slice_probabilities={},
            measurements={},
            parameters={},
            segmentation_key=context.store.put(pack_array(labels)),
            preview_key=context.store.put(b"no picture"),
        )
    return key_of(str(study_uid))


def _open(context: Context, browser: Browser, key: str, *, redraw: bool) -> dict[str, Any]:
    """Milliseconds from the start of the navigation; with `redraw` also those of every redraw."""
    with signed_in(context, browser) as page:
        page.goto(page.url + f"studies/{key}/view", wait_until="commit")
        page.wait_for_selector("main[data-state=ready]", timeout=60000)
        marks = page.evaluate(
            "Object.fromEntries(performance.getEntriesByType('mark').map(m => [m.name, m.startTime]))"
        )
        said = {
            "first": marks["nightjar:first-picture"],
            "ready": marks["nightjar:ready"],
            "complete": marks["nightjar:outlined"],
        }
        if redraw:
            said |= {what: page.evaluate(_REDRAW, what) for what in ("slice", "window", "planes")}
            said["frames"] = page.evaluate(_SCROLL)
        return said
