"""How fast a stroke is on the screen: the editor on a head CT, in headless Chromium without a GPU."""

from pathlib import Path
from statistics import median, quantiles

from playwright.sync_api import Page

from load_tests.heads import make_labelled_head
from load_tests.pages import NAME, chromium, ledger, signed_in
from load_tests.record import Figure, Measured
from load_tests.viewer import fill
from services.context import Context
from services.ledger import workitem_changes, workitems
from services.ledger.workitems import Cause, NewWorkitem, Slot

STROKE_MS = 16.0
"""One frame of a screen: a stroke that takes less is under the pointer."""

# Canvas2D may put drawing off: a pixel read back makes it happen within what is timed.
_STROKE = """({ tool, sizeMm, is3d, moves }) => {
  const { desk, tools, ended } = document.getElementById("main").desk();
  Object.assign(tools, { tool, sizeMm, is3d });
  const middle = [desk.stack.columns / 2, desk.stack.rows / 2];
  const [wide, high] = [desk.stack.columns * 0.18, desk.stack.rows * 0.18];
  const at = (n) => [middle[0] + wide * Math.cos(n / 9), middle[1] + high * Math.sin(n / 9)];
  const seen = () => desk.panes.slice.context.getImageData(0, 0, 1, 1);
  desk.goTo(Math.floor(desk.stack.slices / 2));
  desk.draw();
  const slices = [];
  for (let n = 1; n <= moves; n += 1) {
    const started = performance.now();
    desk.goTo(n % desk.stack.slices);
    desk.draw();
    seen();
    slices.push(performance.now() - started);
  }
  desk.goTo(Math.floor(desk.stack.slices / 2));
  desk.draw();
  const taken = [];
  tools.press(at(0), {});
  for (let n = 1; n <= moves; n += 1) {
    const started = performance.now();
    tools.drag([at(n)]);
    desk.draw();
    seen();
    taken.push(performance.now() - started);
  }
  const started = performance.now();
  ended({ changed: tools.release() });
  desk.draw();
  seen();
  const settled = performance.now() - started;
  const undone = performance.now();
  desk.mask.undo();
  desk.filmed = null;
  desk.draw();
  seen();
  return { slices, taken, settled, undone: performance.now() - undone };
}"""
_STROKES = (
    ("brush of 6 mm", {"tool": "brush", "sizeMm": 6, "is3d": False}),
    ("brush of 20 mm", {"tool": "brush", "sizeMm": 20, "is3d": False}),
    ("sphere of 20 mm", {"tool": "brush", "sizeMm": 20, "is3d": True}),
    ("eraser of 20 mm", {"tool": "eraser", "sizeMm": 20, "is3d": False}),
)


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Open a workitem, draw strokes of several kinds, and take the time of every move of the pointer."""
    moves = 10 if quick else 160
    with ledger(scratch) as context, chromium() as browser:
        datasets, labels = make_labelled_head(quick=quick)
        fill(context, datasets, labels)
        item = _task(context)
        with signed_in(context, browser) as page:
            ready = _open(page, item)
            strokes = {name: page.evaluate(_STROKE, how | {"moves": moves}) for name, how in _STROKES}
        version = browser.version
    figures = [Figure("ready to draw, from the start of the navigation", ready, "ms")]
    for name, stroke in strokes.items():
        figures.append(Figure(f"{name}, one move of the pointer: median", median(stroke["taken"]), "ms"))
        figures.append(Figure(f"{name}: 95th percentile", quantiles(stroke["taken"], n=20)[-1], "ms"))
        figures.append(
            Figure(f"{name}: median to the {STROKE_MS:g} ms of a frame", median(stroke["taken"]) / STROKE_MS, "x")
        )
        figures.append(
            Figure(
                f"{name}: median to that of showing another slice, all panes",
                median(stroke["taken"]) / median(stroke["slices"]),
                "x",
            )
        )
        figures.append(Figure(f"{name}: end of the stroke, volumes, Dice and other planes", stroke["settled"], "ms"))
        figures.append(Figure(f"{name}: undo", stroke["undone"], "ms"))
    shape = " x ".join(map(str, labels.shape))
    return Measured(
        f"{shape}, gantry tilted, two findings as the AI's answer, three planes; headless Chromium {version} at "
        f"1280 x 720 with --disable-gpu. {moves} moves a stroke, each painted, redrawn with fill and outline, and the "
        "pixels read back; so is another slice with its panes, in the same run.",
        tuple(figures),
    )


def _task(context: Context) -> int:
    """A workitem for the one answer there is, in the bench's hands."""
    with context.pool.connection() as connection:
        row = connection.execute("SELECT id, study_uid, inputs ->> 'NCCT' AS series_uid FROM analysis").fetchone()
        if row is None:
            raise RuntimeError("The bench's own analysis is gone.")
        made = workitems.create(
            connection, NewWorkitem(row["study_uid"], row["series_uid"], "ich", Cause.HAND, analysis_id=row["id"])
        )
        item = workitems.read(connection, made or 0)
        if item is None:
            raise RuntimeError("The bench's own workitem was not made.")
        workitem_changes.assign(connection, item, Slot.A, NAME, by=NAME)
        return item.id


def _open(page: Page, item: int) -> float:
    page.goto(f"{page.url}review/{item}/edit", wait_until="commit")
    page.wait_for_selector("main[data-state=ready]", timeout=60000)
    ready: float = page.evaluate("performance.getEntriesByName('nightjar:ready')[0].startTime")
    return ready
