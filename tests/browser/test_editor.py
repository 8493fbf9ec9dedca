"""An expert in the editor and on the upload page, in a real browser, on the project's own phantom."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect
from pydicom import dcmread
from support.correction import add_workitem
from support.editor import at, drag, open_editor, saved, versions, voxels
from support.heads import head_instances, small_head
from support.images import analyse, receive
from support.masks import as_a_viewer_reads, halve, viewer_segmentation
from support.triage import PASSWORD, ServedPages, add_account

from models.prediction import Finding, Urgency
from models.registry import load_card
from services.context import Context
from services.ledger import annotations
from services.ledger.accounts import Role, find_account
from services.ledger.workitems import State
from services.review import opening, sources, workflow
from services.review.opening import open_item

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
    expect(page.locator(".pane-answer [data-part=name]")).to_have_text("AI")
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


def test_a_session_that_ends_while_drawing_loses_nothing(
    context: Context, new_page: NewPage, looks_fine: LooksFine, pages: ServedPages
) -> None:
    item = add_task(context)
    page = new_page()
    open_editor(page, item)
    page.context.clear_cookies()
    drag(page, (70, 80), (90, 80))
    expect(page.locator("#save")).to_contain_text(
        "Could not save: your session has ended. Your edits stay in this tab. Sign in again in another tab. Retrying"
    )
    assert versions(context, item) == []
    looks_fine(page, "editor-signed-out")
    drawn = voxels(page, 1)
    other = page.context.new_page()
    other.goto(f"{pages.url}/sign-in")
    other.fill("#name", "ana")
    other.fill("#password", PASSWORD)
    other.click("main button[type=submit]")
    saved(page)
    (version,) = versions(context, item)
    assert int((sources.get_mask(context.store, version.mask_digest).labels == 1).sum()) == drawn


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
    second.click("#take-over")
    saved(second)
    both = versions(context, item)
    assert [each.base_digest for each in both[1:]] == [both[0].mask_digest], "one after the other, none lost"
    assert second.evaluate("document.getElementById('main').desk().tools.isReadOnly") is False
    other = new_page("bo")
    open_editor(other, item)
    expect(other.locator("#why-not")).to_contain_text("ana holds this workitem; it is open for reading only.")


def test_a_reviewers_own_mask_is_what_is_accepted_also_after_the_page_was_closed(
    context: Context, new_page: NewPage, looks_fine: LooksFine
) -> None:
    add_account(context, "rex", Role.REVIEWER)
    item = add_task(context)
    people = {}
    with context.pool.connection() as connection:
        connection.execute("UPDATE account SET experienced_since = '2001-01-01'")
        for name in ("ana", "rex"):
            people[name] = find_account(connection, name)
        opened = open_item(context, connection, item, people["ana"])
    answer = sources.get_mask(context.store, opened.start_digest)
    workflow.save(context, people["ana"], item, answer, base_digest=answer.digest, tool="test", submit=True)
    workflow.decide(context, people["rex"], item, State.IN_REVIEW)
    page = new_page("rex")
    open_editor(page, item)
    drag(page, (70, 80), (90, 80))
    saved(page)
    drawn = voxels(page, 1)
    open_editor(page, item)
    assert voxels(page, 1) == drawn, "what was saved is there again"
    page.click("#decision button[value=accepted]")
    expect(page.locator("#complaint")).to_contain_text("Grade the image quality first")
    page.select_option("#grade select", "4")
    looks_fine(page, "editor-reviewer")
    page.click("#decision button[value=accepted]")
    expect(page.locator("#message")).to_contain_text("Accepted")
    with context.pool.connection() as connection:
        standing = annotations.read(connection, opening.read_item(connection, item).standing_id)
    assert standing.author == "rex"
    assert int((sources.get_mask(context.store, standing.mask_digest).labels == 1).sum()) == drawn


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


def test_a_dicom_seg_taken_along_comes_back_and_a_strange_one_is_refused(
    context: Context, new_page: NewPage, looks_fine: LooksFine
) -> None:
    item = add_task(context)
    page = new_page()
    open_editor(page, item)
    drag(page, (70, 80), (90, 80))
    saved(page)
    (mine,) = versions(context, item)
    with page.expect_download() as download:
        page.click("text=DICOM SEG")
    draft = download.value.path().read_bytes()
    taken = dcmread(BytesIO(draft))
    assert (taken.ContentLabel, taken.DerivationDescription) == (
        "DRAFT",
        "Draft, taken along by ana (annotator); not accepted.",
    )
    mask = sources.get_mask(context.store, mine.mask_digest)
    page.click("text=Upload a mask")

    def give(name: str, data: bytes) -> None:
        page.set_input_files("#file", {"name": name, "mimeType": "application/dicom", "buffer": data})

    headers = as_a_viewer_reads(head_instances(small_head()), mask.grid.sources)
    drawn = (mask.labels == 1).astype(np.uint8)
    give("stranger.dcm", viewer_segmentation(headers, drawn, ("IPH",), FrameOfReferenceUID="2.25.12345678901"))
    expect(page.locator("#problem")).to_contain_text("another frame of reference (ends in 45678901)")
    expect(page.locator("#resample")).to_be_hidden()
    give("unknown.dcm", viewer_segmentation(headers, drawn, ("Vessel",)))
    expect(page.locator("#mapping")).to_contain_text("Vessel")
    expect(page.locator("#after-mapping")).to_be_hidden()
    looks_fine(page, "upload-unknown-label")
    halved = as_a_viewer_reads(head_instances(small_head()), mask.grid.sources)
    give("halved.dcm", viewer_segmentation(halve(halved), drawn[:, ::2, ::2], ("IPH",)))
    expect(page.locator("#problem")).to_contain_text(
        "64 x 64 pixels of 3.6 x 3.6 mm, the images 128 x 128 of 1.8 x 1.8 mm"
    )
    looks_fine(page, "upload-other-grid")
    page.click("#resample button")
    expect(page.locator("#notes")).to_contain_text("Resampled")
    give("draft.dcm", draft)
    expect(page.locator("#figures tr").first).to_contain_text("1.000")
    looks_fine(page, "upload-seg")
    page.click("#take")
    expect(page.locator("main.editor[data-state=ready]")).to_be_visible()
    last = versions(context, item)[-1]
    assert (last.tool, last.mask_digest, last.author) == ("upload: DICOM SEG", mine.mask_digest, "ana")
