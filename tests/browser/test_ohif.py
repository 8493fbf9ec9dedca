"""OHIF, as it is installed, over our DICOMweb: the source series, the segmentation on it and the report."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.ct import blobs, tilted_ct
from support.dicomweb import answered
from support.triage import ServedPages, add_account, served

from services.context import Context
from services.dicomweb.extension import EXTENSION as DICOMWEB
from services.ledger.images import key_of
from services.ohif.extension import EXTENSION as OHIF
from services.ohif.install import FOLDER, VERSION, install

PATIENCE_MS = 180_000  # drawn in software, 17 MB of scripts compiled


@pytest.fixture(scope="session")
def ohif(pytestconfig: pytest.Config) -> Path:
    """OHIF as `nightjar ohif install` leaves it, fetched once."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir(f"ohif-{VERSION}")
    return folder / FOLDER if (folder / FOLDER).exists() else install(folder)


@pytest.fixture
def context(context: Context) -> Context:
    router = context.settings.router.model_copy(update={"low_disk_mb": 0})
    return replace(context, settings=context.settings.model_copy(update={"router": router}))


@pytest.fixture
def pages(context: Context, ohif: Path) -> Iterator[ServedPages]:
    context.settings.data_dir.mkdir(parents=True, exist_ok=True)
    (context.settings.data_dir / FOLDER).symlink_to(ohif)
    add_account(context, "ana")
    with served(context, [DICOMWEB, OHIF]) as running:
        yield running


@pytest.mark.timeout(900)
def test_a_study_opens_with_its_segmentation_and_its_report(
    context: Context, pages: ServedPages, new_page: Callable[..., Page]
) -> None:
    study_uid = answered(context, tilted_ct(), blobs((10, 64, 64), [1, 3]), {"IPH": 1, "SDH": 3})
    page = new_page("ana")
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{pages.url}/studies/{key_of(study_uid)}/view")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open in OHIF").click()
    viewer = opened.value
    viewer.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    viewer.on("pageerror", lambda error: complaints.append(str(error)))
    viewer.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    viewer.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)

    expect(viewer.get_by_text("Prioritisation only. Not for diagnosis.").first).to_be_visible(timeout=PATIENCE_MS)
    expect(viewer.get_by_text("(1/10)")).to_be_visible(timeout=PATIENCE_MS)
    objects = viewer.locator("[data-cy='study-browser-thumbnail-no-image']")
    expect(objects).to_have_count(2, timeout=PATIENCE_MS)
    objects.filter(has_text="SEG").dblclick()
    viewer.wait_for_function(
        """() => Object.values(window.services.segmentationService.getSegmentations()[0]?.segments ?? {})
                 .map(segment => segment.label).join() === "IPH,SDH" """,
        polling=500,
        timeout=PATIENCE_MS,
    )
    objects.filter(has_text="SR").dblclick()
    expect(viewer.get_by_text("Imaging Measurement Report").first).to_be_visible(timeout=PATIENCE_MS)
    expect(viewer.get_by_text("Morphologically Abnormal Structure").first).to_be_visible(timeout=PATIENCE_MS)
    assert complaints == []
    with context.pool.connection() as connection:
        rows = connection.execute("SELECT DISTINCT action FROM audit WHERE study_uid = %s", [study_uid]).fetchall()
    assert {"ohif", "DICOMweb search", "DICOMweb retrieve"} <= {row["action"] for row in rows}
