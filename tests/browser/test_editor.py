"""An expert in the editor and on the upload page, in a real browser, on the project's own phantom."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect
from support.correction import add_workitem
from support.heads import head_instances, small_head
from support.images import analyse, receive
from support.triage import ServedPages

from models.prediction import Finding, Urgency
from models.registry import load_card
from services.context import Context
from services.ledger import annotations
from services.review import sources

NewPage = Callable[..., Page]
LooksFine = Callable[[Page, str], None]


@pytest.fixture
def pages(editor_pages: ServedPages) -> ServedPages:
    return editor_pages


def add_task(context: Context, **options: Any) -> int:
    """A head with an answer, and the workitem that corrects it."""
    study_uid, series_uid = receive(context, head_instances(small_head()))
    labels = np.zeros((14, 128, 128), np.uint8)
    labels[6:9, 50:70, 40:62] = 1
    labels[10, 60:64, 80:90] = 3
    found = (Finding("IPH", 0.9, 31.2, Urgency.IMMEDIATE, 7),)
    analysis = analyse(context, study_uid, series_uid, labels, found, model_version=load_card("ich").version)
    return add_workitem(context, study_uid, series_uid, analysis_id=analysis, **options)


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


def test_draw_save_compare_and_hand_in(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    item = add_task(context)
    page = new_page()
    open_editor(page, item)
    expect(page.locator("#submit")).to_contain_text("Accept unchanged")
    expect(page.locator("#figures tr").first).to_contain_text("IPH")
    looks_fine(page, "editor")
    before = voxels(page, 1)
    drag(page, (70, 80), (90, 80))
    painted = voxels(page, 1)
    assert painted > before
    page.keyboard.press("Control+z")
    assert voxels(page, 1) == before
    page.keyboard.press("Control+y")
    page.keyboard.down("Control")
    drag(page, (85, 80), (90, 80))
    page.keyboard.up("Control")
    assert before < voxels(page, 1) < painted
    page.keyboard.press("p")
    for corner in ((60, 90), (75, 90), (75, 105)):
        page.mouse.click(*at(page, *corner))
    page.keyboard.press("Enter")
    assert voxels(page, 1) > painted
    page.keyboard.press("f")
    page.mouse.click(*at(page, 3, 3))
    expect(page.locator("#complaint")).to_contain_text("This place is not enclosed")
    saved(page)
    expect(page.locator("#submit")).to_contain_text("Submit")
    expect(page.locator("#changed button")).to_have_count(1)
    page.keyboard.press("d")
    looks_fine(page, "editor-changes")
    page.keyboard.press("m")
    expect(page.locator(".pane-answer")).to_be_visible()
    looks_fine(page, "editor-side-by-side")
    page.keyboard.press("Control+Enter")
    expect(page.locator("main.editor[data-state=submitted]")).to_be_visible(timeout=20000)
    last = versions(context, item)[-1]
    assert (last.submitted, last.unchanged, last.author) == (True, False, "ana")
    assert last.tool.startswith("Nightjar editor: brush")
    mask = sources.get_mask(context.store, last.mask_digest)
    assert int((mask.labels == 1).sum()) == voxels(page, 1)
    open_editor(page, item)
    expect(page.locator("#why-not")).to_contain_text("Read only.")
    drag(page, (70, 40), (90, 40))
    assert voxels(page, 1) == int((mask.labels == 1).sum())


def test_an_answer_handed_in_untouched_is_recorded_as_such(context: Context, new_page: NewPage) -> None:
    item = add_task(context, graded=False)
    page = new_page()
    open_editor(page, item)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#complaint")).to_contain_text("Grade the image quality first")
    page.select_option("#grade select", "4")
    page.click("#submit")
    expect(page.locator("#message")).to_contain_text("Accepted unchanged", timeout=20000)
    assert [each.unchanged for each in versions(context, item)] == [True]


def test_what_cannot_be_saved_stays_and_is_sent_again(context: Context, new_page: NewPage) -> None:
    item = add_task(context)
    page = new_page()
    open_editor(page, item)

    def refuse(route: Route) -> None:
        route.abort()

    page.route("**/edit/mask*", refuse)
    drag(page, (70, 80), (90, 80))
    expect(page.locator("#save")).to_contain_text(
        "Could not save. Your edits stay in this tab. Retrying", timeout=20000
    )
    assert versions(context, item) == []
    page.unroute("**/edit/mask*", refuse)
    saved(page)
    assert len(versions(context, item)) == 1


def test_a_second_window_stops_instead_of_overwriting(
    context: Context, new_page: NewPage, looks_fine: LooksFine
) -> None:
    item = add_task(context)
    first, second = new_page(), new_page()
    open_editor(first, item)
    open_editor(second, item)
    drag(first, (70, 80), (90, 80))
    saved(first)
    drag(second, (70, 40), (90, 40))
    expect(second.locator("#complaint")).to_contain_text("Another version of this mask was saved", timeout=20000)
    looks_fine(second, "editor-stale")
    assert len(versions(context, item)) == 1
    other = new_page("bo")
    open_editor(other, item)
    expect(other.locator("#why-not")).to_contain_text("open for reading only")


def test_a_comment_is_pinned_to_its_voxel(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    item = add_task(context)
    page = new_page()
    open_editor(page, item)
    page.keyboard.press("c")
    page.mouse.click(*at(page, 60, 52))
    page.fill("#comment-text", "Is this calcification?")
    page.check("#comment-doubtful")
    page.click("#comment-form button[type=submit]")
    expect(page.locator("#comments")).to_contain_text("Is this calcification?")
    looks_fine(page, "editor-comment")
    with context.pool.connection() as connection:
        (said,) = annotations.comments(connection, item)
    assert said.doubtful
    assert said.voxel is not None
    assert said.voxel[1:] == (52, 60)
    page.set_viewport_size({"width": 390, "height": 844})
    looks_fine(page, "editor-390")


def test_a_mask_from_elsewhere(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    item = add_task(context)
    page = new_page()
    url = "/".join(page.url.split("/")[:3]) + f"/review/{item}"
    mine = page.request.get(f"{url}/edit/mask.nii.gz").body()
    page.goto(f"{url}/upload")
    looks_fine(page, "upload")

    def give(name: str, data: bytes) -> None:
        page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": data})

    give("half.nii.gz", mine[: len(mine) // 2])
    expect(page.locator("#problem")).to_contain_text("The mask ends early", timeout=20000)
    looks_fine(page, "upload-refused")
    give("mine.nii.gz", mine)
    expect(page.locator("#figures")).to_contain_text("IPH", timeout=20000)
    assert versions(context, item) == []
    page.get_by_label("Label of 3").select_option("Leave out")
    expect(page.locator("#figures tr").nth(1)).to_contain_text("0.0 mL", timeout=20000)
    looks_fine(page, "upload-checked")
    page.click("#take")
    expect(page.locator("main.editor[data-state=ready]")).to_be_visible(timeout=20000)
    assert voxels(page, 3) == 0
    (version,) = versions(context, item)
    assert (version.tool, version.submitted) == ("upload: NIfTI", False)
