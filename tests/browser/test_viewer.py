"""The night radiologist in the quick viewer, in a real browser, on the project's own tilted phantom."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from support.ct import tilted_ct
from support.heads import head_instances, small_head
from support.images import analyse, receive
from support.instances import ct
from support.triage import ServedPages, add_study, end_study

from models.dicom import read_series
from models.prediction import Finding, Urgency
from models.registry import load_card
from services.context import Context

NewPage = Callable[..., Page]
LooksFine = Callable[[Page, str], None]

SLICES = 14
_LARGEST = Finding("SDH", 0.9, 31.2, Urgency.IMMEDIATE, 9)
_SMALLER = Finding("IPH", 0.8, 12.5, Urgency.URGENT, 4, volume_range_ml=(10.4, 15.0), abc2_ml=13.75)


def add_head(context: Context, *, study: int = 1, name: str | None = None, findings: bool = True) -> str:
    """A received phantom with an answer of today's model; its UID."""
    instances = head_instances(small_head(), study=study)
    for instance in instances:
        instance.PatientName = name or instance.PatientName
    study_uid, series_uid = receive(context, instances)
    labels = np.zeros((SLICES, 128, 128), np.uint8)
    labels[8:11, 60:70, 20:30] = 3
    labels[4, 40:50, 70:90] = 1
    found = (_SMALLER, _LARGEST) if findings else ()
    analyse(
        context,
        study_uid,
        series_uid,
        labels if findings else labels * 0,
        found,
        model_version=load_card("ich").version,
    )
    return study_uid


def open_viewer(page: Page, state: str = "ready") -> None:
    page.locator("a.open").first.click()
    expect(page.locator(f"main.viewer[data-state={state}]")).to_be_visible()


def slice_shown(page: Page) -> str:
    return page.locator(".pane-slice [data-part=slice]").inner_text()


def window_shown(page: Page) -> str:
    return page.locator(".pane-slice [data-part=window]").inner_text()


def picture(page: Page, pane: str = "slice") -> str:
    """The pixels of a pane as they are, whatever is still waiting to be drawn."""
    return str(
        page.evaluate(
            """pane => { document.getElementById("main").view().draw();
                         return document.querySelector(`.pane-${pane} canvas`).toDataURL(); }""",
            pane,
        )
    )


_SAMPLE = """async ({ geometry, values, labels, point }) => {
  const { Stack, pointOn, letters, planeName } = await import("/static/viewer/geometry.js");
  const { resample, OUTSIDE } = await import("/static/viewer/sample.js");
  const stack = new Stack(geometry);
  const size = geometry.rows * geometry.columns;
  const planes = new Map();
  for (let k = 0; k < geometry.slices; k += 1) planes.set(k, Uint8Array.from(labels.slice(k * size, (k + 1) * size)));
  return stack.reformatPlanes(point).map((plane) => {
    const { values: found, marks } = resample(stack, Int16Array.from(values), plane, planes);
    const points = [];
    found.forEach((value, i) => {
      if (value === OUTSIDE) return;
      points.push([...pointOn(plane, i % plane.width, Math.floor(i / plane.width)), value, marks[i]]);
    });
    return { points, name: planeName(plane.normal), right: letters(plane.right), down: letters(plane.down) };
  });
}"""


@pytest.mark.parametrize(
    "how",
    [{}, {"flipped": True}, {"tilt_deg": -24.0}, {"turn_deg": 11.0}],
    ids=["tilted", "rows reversed", "tilted the other way", "patient turned"],
)
def test_reformatted_planes_show_what_is_there_in_the_patient(
    chromium: Any, pages: ServedPages, how: dict[str, Any]
) -> None:
    """A density that changes linearly in space comes out the same at every place, however slices lie and steps vary."""
    volume = read_series(tilted_ct(shape=(10, 40, 48), spacing_mm=(3.2, 2.4), **how))
    rows, columns = np.mgrid[:40, :48]
    places = (
        volume.positions_mm[:, None, None]
        + columns[None, ..., None] * volume.spacing_mm[1] * np.array(volume.row_direction)
        + rows[None, ..., None] * volume.spacing_mm[0] * np.array(volume.column_direction)
    )
    density = np.array([2.5, -1.5, 4.0])
    values = np.rint(places @ density)
    centre = places.reshape(-1, 3).mean(axis=0)
    labels = (np.linalg.norm(places - centre, axis=-1) < 20).astype(int)
    page = chromium.new_page()
    page.goto(f"{pages.url}/sign-in")
    geometry = {
        "slices": 10,
        "rows": 40,
        "columns": 48,
        "positions_mm": volume.positions_mm.tolist(),
        "row_direction": volume.row_direction,
        "column_direction": volume.column_direction,
        "spacing_mm": volume.spacing_mm,
    }
    planes = page.evaluate(
        _SAMPLE,
        {
            "geometry": geometry,
            "values": values.ravel().tolist(),
            "labels": labels.ravel().tolist(),
            "point": centre.tolist(),
        },
    )
    page.close()
    assert [(plane["name"], plane["right"][0], plane["down"][0]) for plane in planes] == [
        ("Coronal", "L", "I"),
        ("Sagittal", "P", "I"),
    ]
    for plane in planes:
        points = np.array(plane["points"])
        offsets = points[:, :3] @ volume.normal
        between = (offsets >= volume.offsets_mm[0]) & (offsets <= volume.offsets_mm[-1])
        inside = between & _within_rows_and_columns(points[:, :3], places)
        assert inside.sum() > 300
        assert np.abs(points[inside, 3] - points[inside, :3] @ density).max() <= 2  # rounded before and after
        # Marked where the patient is marked, to within the voxel that lies nearest.
        away = np.linalg.norm(points[:, :3] - centre, axis=1)
        assert points[away < 14, 4].all()
        assert not points[away > 27, 4].any()
        assert (away < 14).sum() > 50


def _within_rows_and_columns(points: Any, places: Any) -> Any:
    """Which points lie so far inside that both neighbouring slices have voxels around them."""
    middle = places.reshape(-1, 3).mean(axis=0)
    return np.linalg.norm(points - middle, axis=1) < 30


def test_it_opens_on_the_largest_finding_and_says_what_it_shows(
    context: Context, new_page: NewPage, looks_fine: LooksFine
) -> None:
    add_head(context)
    page = new_page()
    open_viewer(page)
    assert slice_shown(page) == "Slice 10/14"
    assert window_shown(page) == "Brain · W 80 L 40"
    slice_pane = page.locator(".pane-slice")
    for text in ("T1", "1 · Head 5.0 H31s", "Not for diagnosis", "Axial"):
        expect(slice_pane).to_contain_text(text)
    assert page.locator(".pane-slice .letter").all_inner_texts()[:2] == ["R", "L"]
    assert page.locator(".pane-along [data-part=name]").inner_text() == "Coronal"
    assert page.locator(".pane-across .letter").all_inner_texts() == ["A", "P", "S", "I"]
    panel = page.locator("#panel")
    current = panel.locator("[aria-current=true]")
    expect(current).to_contain_text("Suspected SDH")
    for text in (
        "12.5 mL",
        "10.4 to 15.0 mL",
        "ABC/2 13.8 mL",
        f"Model ich {load_card('ich').version}",
        "Known limits",
    ):
        assert text in panel.inner_text().replace("\u00a0", " ")
    looks_fine(page, "viewer")
    page.set_viewport_size({"width": 390, "height": 844})
    looks_fine(page, "viewer-390")


def test_keys(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    add_head(context)
    page = new_page()
    open_viewer(page)
    shown = page.locator(".pane-slice [data-part=slice]")
    press = page.keyboard.press
    for key, expected in (
        ("ArrowDown", "11/14"), ("ArrowUp", "10/14"), ("PageUp", "5/14"), ("PageDown", "10/14"), ("End", "14/14"),
        ("Home", "1/14"), ("n", "5/14"), ("n", "10/14"), ("Shift+N", "5/14"),
    ):  # fmt: skip
        press(key)
        expect(shown).to_have_text(f"Slice {expected}")
    expect(page.get_by_role("slider", name="Slice")).to_have_attribute("aria-valuetext", "Slice 5 of 14, suspected IPH")
    for key, window in (
        ("2", "Subdural · W 200 L 80"),
        ("3", "Stroke · W 40 L 40"),
        ("4", "Bone · W 2800 L 600"),
        ("1", "Brain · W 80 L 40"),
        ("]", "W 80 L 45"),
    ):
        press(key)
        expect(page.locator(".pane-slice [data-part=window]")).to_have_text(window)
    plain = picture(page)
    press("i")
    expect(page.locator(".pane-slice [data-part=window]")).to_contain_text("inverted")
    assert picture(page) != plain
    press("Space")
    expect(page.locator(".pane-slice [data-part=window]")).to_have_text("Brain · W 80 L 40")
    outlined = picture(page)
    page.keyboard.down("h")
    hidden = picture(page)
    page.keyboard.up("h")
    assert picture(page) == outlined != hidden
    press("o")
    expect(page.locator("#overlay-name")).to_have_text("Fill")
    assert picture(page) not in (outlined, hidden)
    press("o")
    expect(page.locator("#overlay-name")).to_have_text("No outline")
    assert picture(page) == hidden
    press("m")
    expect(page.locator(".pane-along")).to_be_hidden()
    looks_fine(page, "viewer-slice-only")
    press("m")
    expect(page.locator(".pane-along")).to_be_visible()
    press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    looks_fine(page, "viewer-keys")
    press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    press("Escape")
    expect(page.locator("tr[data-key]")).to_have_count(1)


def test_a_key_is_the_pages_while_a_closed_dialog_still_has_the_focus(context: Context, new_page: NewPage) -> None:
    """Focus leaves a closed dialog a moment later, and a quick second Escape comes before."""
    add_head(context)
    page = new_page()
    open_viewer(page)
    page.locator("#single-keys").dispatch_event("keydown", {"key": "Escape", "bubbles": True})
    expect(page.locator("tr[data-key]")).to_have_count(1)


def test_the_mouse(context: Context, new_page: NewPage) -> None:
    add_head(context)
    page = new_page()
    open_viewer(page)
    box = page.locator(".pane-slice canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.wheel(0, 120)
    expect(page.locator(".pane-slice [data-part=slice]")).to_have_text("Slice 11/14")
    page.mouse.down(button="right")
    page.mouse.move(x + 20, y + 10)
    page.mouse.up(button="right")
    expect(page.locator(".pane-slice [data-part=window]")).to_have_text("W 100 L 50")
    before = picture(page)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Control")
    assert picture(page) != before
    beside = page.locator(".pane-across canvas").bounding_box()
    assert beside is not None
    # A click high up in the sagittal plane leads to the slices at the top of the head.
    page.mouse.click(beside["x"] + beside["width"] / 2, beside["y"] + beside["height"] * 0.2)
    page.wait_for_function("() => Number(document.querySelector('#track').ariaValueNow) > 11", polling=100)


def test_fingers(context: Context, new_page: NewPage) -> None:
    """One finger goes through the slices, two zoom and move, and then one moves; what two began is no click."""
    add_head(context)
    page = new_page(width=390, height=844, has_touch=True)
    open_viewer(page)
    box = page.locator(".pane-slice canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x + dx, "y": y + dy, "id": number} for number, (dx, dy) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def zoom() -> float:
        return float(page.evaluate("document.getElementById('main').view().panes.slice.zoom"))

    def pan() -> list[float]:
        moved: list[float] = page.evaluate("document.getElementById('main').view().panes.slice.pan")
        return moved

    opened = slice_shown(page)
    touch("touchStart", (0, -40))
    touch("touchMove", (0, 40))
    touch("touchEnd")
    scrolled = slice_shown(page)
    assert scrolled != opened
    touch("touchStart", (-20, 0))
    touch("touchStart", (-20, 0), (20, 0))
    touch("touchMove", (-60, 0), (60, 0))
    touch("touchEnd")
    assert zoom() == pytest.approx(3, rel=0.05)
    assert pan() == pytest.approx([0, 0], abs=3)
    assert slice_shown(page) == scrolled
    touch("touchStart", (0, 0))
    touch("touchMove", (25, 10))
    touch("touchEnd")
    assert pan() == pytest.approx([25, 10], abs=3)
    assert slice_shown(page) == scrolled
    touch("touchStart", (-60, 0))
    touch("touchStart", (-60, 0), (60, 0))
    touch("touchMove", (-10, 0), (10, 0))
    touch("touchEnd")
    assert zoom() == 1


def test_opinions_are_stored_and_seen_by_others(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    add_head(context)
    ana, bo = new_page("ana"), new_page("bo")
    open_viewer(ana)
    open_viewer(bo)
    ana.keyboard.press("a")
    expect(ana.locator(".opinion")).to_contain_text("You agree")
    expect(bo.locator(".opinion")).to_contain_text("ana agrees")
    bo.keyboard.press("d")
    expect(bo.get_by_role("button", name="False positive")).to_be_focused()
    looks_fine(bo, "viewer-disagree")
    bo.get_by_role("button", name="Artefact").click()
    expect(bo.locator(".opinion").last).to_contain_text("You disagree: Artefact")
    expect(bo.get_by_text("The flag is dismissed.")).to_be_visible()
    expect(ana.locator(".opinion").last).to_contain_text("bo disagrees: Artefact")
    looks_fine(ana, "viewer-opinions")
    ana.get_by_role("button", name="Withdraw my opinion").click()
    expect(ana.locator(".opinion")).to_have_count(1)
    with context.pool.connection() as connection:
        rows = connection.execute("SELECT account, verdict, reason FROM opinion ORDER BY id").fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("ana", "agree", None), ("bo", "disagree", "artefact"), ("ana", "withdrawn", None),
    ]  # fmt: skip


def test_without_a_result_the_images_are_shown_with_the_reason(
    context: Context, new_page: NewPage, looks_fine: LooksFine
) -> None:
    study_uid, _ = receive(context, head_instances(small_head()))
    with context.pool.connection() as connection:
        end_study(connection, study_uid, "not_applicable", "No series fits a model.")
    page = new_page()
    open_viewer(page)
    expect(page.locator("#panel")).to_contain_text("No result")
    expect(page.locator("#panel")).to_contain_text("Not analysed. No series fits a model.")
    assert slice_shown(page) == "Slice 8/14"
    looks_fine(page, "viewer-no-result")


def test_no_flag_is_not_called_normal(context: Context, new_page: NewPage) -> None:
    add_head(context, findings=False)
    page = new_page()
    open_viewer(page)
    expect(page.locator("#panel")).to_contain_text("No flag raised")
    assert not re.search("normal|negative", page.locator("body").inner_text(), re.IGNORECASE)


def test_images_that_cannot_be_shown_say_why(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    doubled = [ct(0, size=32), ct(1, size=32, ImagePositionPatient=["-120", "-120", "0"])]
    receive(context, doubled)
    with context.pool.connection() as connection:
        add_study(connection, 9, name="NOTHING^YET", instances=0)
    page = new_page()
    page.get_by_role("link", name="Test, Müller").click()
    message = page.locator("#message")
    expect(message).to_contain_text("The images cannot be shown")
    expect(message).to_contain_text("1 of 2 slices lie where another one lies")
    looks_fine(page, "viewer-unreadable")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="NOTHING, YET").click()
    expect(message).to_contain_text("No images to show")
    looks_fine(page, "viewer-no-images")


def test_images_that_arrive_later_take_the_outlines_away(context: Context, new_page: NewPage) -> None:
    study_uid = add_head(context)
    late = head_instances(small_head())[-1]
    late.ImagePositionPatient = [late.ImagePositionPatient[0], late.ImagePositionPatient[1], "400"]
    late.SOPInstanceUID = f"{late.SOPInstanceUID}.9"
    receive(context, [late])
    page = new_page()
    open_viewer(page)
    assert study_uid
    expect(page.locator("#panel")).to_contain_text("Outlines are not shown: images arrived after this answer.")
    expect(page.locator("#track svg")).to_have_count(0)


def test_on_to_the_next_study_of_the_list(context: Context, new_page: NewPage, pages: ServedPages) -> None:
    add_head(context, study=1, name="FIRST^A")
    add_head(context, study=2, name="SECOND^B")
    page = new_page()
    names = page.locator("a.open").all_inner_texts()
    open_viewer(page)
    expect(page.locator("h1")).to_have_text(names[0])
    page.keyboard.press("j")
    expect(page.locator("h1")).to_have_text(names[1])
    page.keyboard.press("k")
    expect(page.locator("h1")).to_have_text(names[0])
    page.keyboard.press("k")
    page.wait_for_url(f"{pages.url}/")


def test_a_lost_connection_keeps_the_images_and_says_so(
    context: Context, new_page: NewPage, pages: ServedPages, looks_fine: LooksFine
) -> None:
    add_head(context)
    page = new_page()
    open_viewer(page)
    pages.stop()
    expect(page.locator("#lost")).to_have_text(
        re.compile(r"^Connection lost\. Findings are \d+ s old\. Reconnecting$"), timeout=12000
    )
    page.keyboard.press("ArrowDown")
    expect(page.locator(".pane-slice [data-part=slice]")).to_have_text("Slice 11/14")
    page.keyboard.press("a")
    expect(page.get_by_role("alert")).to_have_text("Not stored: the connection is lost. Try again.")
    looks_fine(page, "viewer-lost")
    pages.start()
    expect(page.locator("#lost")).to_be_hidden(timeout=12000)


def test_what_dicom_says_is_only_ever_text(context: Context, new_page: NewPage) -> None:
    attack = "<img src=x onerror=\"document.title='hit'\">"
    instances = head_instances(small_head())
    for instance in instances:
        instance.PatientName = "<script>document.title</script>^A"
        instance.PatientID = instance.SeriesDescription = instance.StudyDescription = attack
    receive(context, instances)
    page = new_page()
    open_viewer(page)
    expect(page.locator(".pane-slice")).to_contain_text("<img src=x")
    assert page.locator("img[src=x]").count() == 0
    page.get_by_role("link", name="Series, deliveries and history").click()
    expect(page.locator("h1")).to_contain_text("<script>")
    assert page.locator("img[src=x], main script").count() == 0
    assert page.title() != "hit"


def test_an_enhanced_series_over_and_beside_the_acquired_one(
    context: Context, new_page: NewPage, looks_fine: LooksFine
) -> None:
    head = small_head()
    study_uid, series_uid = receive(context, head_instances(head, study=1))
    labels = np.zeros((SLICES, 128, 128), np.uint8)
    analyse(context, study_uid, series_uid, labels, (), image=head.volume.voxels + 15)
    page = new_page()
    open_viewer(page)
    page.get_by_role("link", name="Before and after").click()
    stages = page.locator("#stages")
    pictures = [page.locator(f"img[data-side={side}]") for side in ("acquired", "enhanced")]

    def edges() -> list[dict[str, float]]:
        return [picture.evaluate("image => image.getBoundingClientRect().toJSON()") for picture in pictures]

    for picture in pictures:
        expect(picture).to_have_js_property("naturalWidth", 128)
    before, after = edges()
    assert before == after
    looks_fine(page, "before-after")
    page.keyboard.press("PageDown")
    expect(page.locator("#number")).to_have_text(f"{SLICES // 2 + 2} / {SLICES}")
    assert all(f"/slices/{SLICES // 2 + 1}/" in (picture.get_attribute("src") or "") for picture in pictures)
    page.locator("#divider").fill("20")
    assert "20%" in str(stages.evaluate("stages => getComputedStyle(stages.querySelector('figure.enhanced')).clipPath"))
    page.locator("#zoom").select_option("4")
    page.locator("#apart").check()
    before, after = edges()
    assert before["right"] != after["right"]
    page.locator("figure.acquired").evaluate("figure => figure.scrollTo(40, 60)")
    page.wait_for_function("() => document.querySelector('figure.enhanced').scrollTop === 60")
    looks_fine(page, "before-after-apart")
    page.keyboard.press("Escape")
    expect(page.locator("main.viewer")).to_be_visible()
