"""The editor's page as its tests use it."""

from playwright.sync_api import Page, expect

from services.context import Context
from services.ledger import annotations


def open_editor(page: Page, item: int, state: str = "ready") -> None:
    page.goto("/".join(page.url.split("/")[:3]) + f"/review/{item}/edit")
    expect(page.locator(f"main.editor[data-state={state}]")).to_be_visible(timeout=20000)


def at(page: Page, column: float, row: float) -> tuple[float, float]:
    """Where a pixel of the slice is on the page."""
    x, y = page.evaluate(
        """([column, row]) => { const { desk } = document.getElementById("main").desk(); const pane = desk.panes.slice;
             const [sx, sy, dx, dy] = pane.placing; const ratio = pane.canvas.clientWidth / pane.canvas.width;
             const box = pane.canvas.getBoundingClientRect();
             return [box.left + ((column + 0.5) * sx + dx) * ratio, box.top + ((row + 0.5) * sy + dy) * ratio]; }""",
        [column, row],
    )
    return x, y


def drag(page: Page, *points: tuple[float, float]) -> None:
    page.mouse.move(*at(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*at(page, *point), steps=6)
    page.mouse.up()


def voxels(page: Page, label: int) -> int:
    return int(
        page.evaluate(
            "label => document.getElementById('main').desk().desk.mask.voxels.reduce((n, v) => n + (v === label), 0)",
            label,
        )
    )


def saved(page: Page) -> None:
    expect(page.locator("#save")).to_contain_text("Saved", timeout=20000)
    expect(page.locator("#save")).to_have_attribute("data-state", "saved")


def versions(context: Context, item: int) -> list[annotations.Annotation]:
    with context.pool.connection() as connection:
        return annotations.of_workitem(connection, item)
