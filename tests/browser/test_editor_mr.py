"""The editor on MR studies of several sequences: side by side, linked, registered, with the tools and hints for MR."""

import gzip
from collections.abc import Callable
from typing import Any

import nibabel
import numpy as np
import pytest
from playwright.sync_api import Page, expect
from support.correction import add_workitem
from support.editor import at, drag, open_editor, saved, versions, voxels
from support.mr import INFARCT_MM, TUMOUR_MM, TUMOUR_RADIUS_MM, Grid, receive_study, sequence, voxel_of
from support.triage import ServedPages

from services.context import Context
from services.review import sources

NewPage = Callable[..., Page]
LooksFine = Callable[[Page, str], None]

DRAWN_ON = Grid()
SEQUENCES = {
    "T1c": DRAWN_ON,
    "T2": DRAWN_ON,
    "ADC": Grid(shape=(22, 48, 48), spacing_mm=(7.0, 4.8, 4.8)),  # coarser, in the same frame of reference
    "FLAIR": Grid(shape=(31, 80, 80), spacing_mm=(5.0, 3.0, 3.0), moved_mm=(6.0, -9.0, 4.0), frame=8),  # the head moved
}


@pytest.fixture
def pages(editor_pages: ServedPages) -> ServedPages:
    return editor_pages


def values(page: Page, role: str, places_mm: list[tuple[float, float, float]]) -> list[float]:
    """What a sequence shows at places in the patient, by the voxels that the page draws."""
    found: list[float] = page.evaluate(
        """([role, voxels]) => { const { desk } = document.getElementById("main").desk();
             const shown = desk.sequences.find((each) => each.name === role);
             const at = ([k, y, x]) => k * desk.mask.size + y * desk.mask.columns + x;
             return voxels.map((voxel) => shown.voxels[at(voxel)] * shown.greys.slope + shown.greys.intercept); }""",
        [role, [list(voxel_of(place, DRAWN_ON)) for place in places_mm]],
    )
    return found


def shape_of_nothing(data: bytes) -> tuple[int, ...]:
    image = nibabel.nifti1.Nifti1Image.from_bytes(gzip.decompress(data))
    assert not np.asanyarray(image.dataobj).any()
    return tuple(image.shape)


def around(reach_mm: float) -> list[tuple[float, float, float]]:
    """Four places in the tumour's slice, so far from its middle."""
    x, y, z = TUMOUR_MM
    return [(x + dx * reach_mm, y + dy * reach_mm, z) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))]


def test_sequences_side_by_side_and_the_tools_on_a_tumour(
    context: Context, new_page: NewPage, looks_fine: LooksFine
) -> None:
    study_uid, series = receive_study(context, SEQUENCES)
    item = add_workitem(context, study_uid, series["T1c"], task="cns-tumour-mri")
    page = new_page()
    open_editor(page, item)
    empty = page.request.get(f"{page.url}/mask.nii.gz")
    assert shape_of_nothing(empty.body()) == DRAWN_ON.shape[::-1], "nothing, on the images' grid"
    refused = page.request.get(f"{page.url}/mask.dcm")
    assert (refused.status, "needs a segment" in refused.text()) == (422, True)
    expect(page.locator("#sequences .pane")).to_have_count(3)
    expect(page.locator("#sequences .waiting")).to_have_count(0, timeout=60_000)
    names = [name.text_content() for name in page.locator("#sequences [data-part=name]").all()]
    assert names == ["FLAIR", "T2", "ADC"], "in the task's order"
    assert min(values(page, "FLAIR", around(TUMOUR_RADIUS_MM + 6))) > 600, "registered: oedema lies around the tumour"
    assert min(values(page, "ADC", [TUMOUR_MM])) > 1500, "resampled: the core's ADC lies in the core"
    expect(page.locator('[data-preset="2"]')).to_be_hidden()

    middle = voxel_of(TUMOUR_MM, DRAWN_ON)
    page.evaluate("k => document.getElementById('main').desk().desk.goTo(k)", middle[0])
    page.click("[data-do=toggleLimit]")
    page.fill("#low", "700")
    page.fill("#high", "1200")
    page.keyboard.press("Tab")
    row, column = middle[1:]
    drag(page, (column - 9, row), (column + 9, row))
    painted = voxels(page, 1)
    page.click('[data-tool="grow"]')
    page.click("[data-do=toggle3d]")
    rim = round(column + (TUMOUR_RADIUS_MM - 2) / 2.4)
    page.mouse.click(*at(page, rim, row))
    grown = voxels(page, 1)
    image = sequence("T1c", DRAWN_ON)
    assert 0 < painted < grown
    saved(page)
    mask = sources.get_mask(context.store, versions(context, item)[-1].mask_digest)
    assert (image[mask.labels == 1] >= 700).all(), "only what the limit allows"
    assert (mask.labels == 1).sum() == grown
    looks_fine(page, "editor-mr")

    page.click("[data-do=toggleLimit]")
    page.click('[data-tool="brush"]')
    outside = voxel_of((0.0, -92.0, TUMOUR_MM[2]), DRAWN_ON)
    drag(page, (outside[2], outside[1]), (outside[2] + 1, outside[1]))
    expect(page.locator("#hints")).to_contain_text("outside the brain", timeout=60_000)
    for n in range(5):
        drag(page, (30 + 7 * n, 60), (31 + 7 * n, 60))
    expect(page.locator("#hints")).to_contain_text("lesions are marked, this task has the 5 largest")
    looks_fine(page, "editor-mr-hints")


def test_snapping_to_the_adc_threshold_on_a_stroke(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    grids = dict.fromkeys(("DWI", "ADC"), DRAWN_ON)
    study_uid, series = receive_study(context, grids)
    item = add_workitem(context, study_uid, series["DWI"], task="ais-mri")
    page = new_page()
    open_editor(page, item)
    expect(page.locator("#sequences .waiting")).to_have_count(0, timeout=60_000)
    k, row, column = voxel_of(INFARCT_MM, DRAWN_ON)
    page.evaluate("k => document.getElementById('main').desk().desk.goTo(k)", k)
    page.evaluate("() => { document.getElementById('main').desk().tools.sizeMm = 34; }")
    drag(page, (column, row), (column + 1, row))
    expect(page.locator("#hints")).to_contain_text("voxels with ADC above 620")
    looks_fine(page, "editor-stroke")
    page.keyboard.press("x")
    expect(page.locator("#hints")).not_to_contain_text("ADC above")
    saved(page)
    mask: Any = sources.get_mask(context.store, versions(context, item)[-1].mask_digest).labels
    low = sequence("ADC", DRAWN_ON)[k] <= 620
    inside = np.hypot(*(np.indices(low.shape) - np.array([row, column])[:, None, None])) * 2.4 < 20
    assert np.array_equal(mask[k] == 1, low & inside & (sequence("ADC", DRAWN_ON)[k] > 0))
