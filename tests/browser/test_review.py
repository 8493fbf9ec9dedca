"""The review's pages as their people use them: queue, a workitem from start to acceptance, task, workload."""

from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from support.ct import tilted_ct
from support.images import analyse, receive
from support.triage import ServedPages, add_account, say_inference_lives, served

from models.prediction import Finding, Urgency
from services.context import Context
from services.ledger import courses, reader_studies, workitems
from services.ledger.accounts import Role, find_account
from services.results.uids import derive_uid
from services.review import selection, workflow
from services.review.extension import EXTENSION
from services.review.masks import Mask
from services.review.opening import open_item
from services.review.sources import read_grid

NewPage = Callable[..., Page]
LooksFine = Callable[[Page, str], None]
SHAPE = (6, 32, 32)


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    add_account(context, "ana", Role.RADIOLOGIST, Role.ANNOTATOR)
    add_account(context, "cy", Role.RADIOLOGIST, Role.REVIEWER)
    with context.pool.connection() as connection:
        say_inference_lives(connection)
        for name in ("ana", "cy"):
            courses.record_experience(connection, name, date(2004, 3, 1))
        courses.admit(connection, "ana", "ich", passed=True, decided_by="cy", reason="Known to us.")
    with served(context, (EXTENSION,)) as running:
        yield running


def add_workitem(context: Context) -> int:
    """A flagged head CT whose answer became a workitem by rule; read once."""
    study_uid, series_uid = receive(context, tilted_ct(shape=SHAPE, gaps_mm=(5.0,) * 5))
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 8:16, 8:16] = 1
    analysis = analyse(context, study_uid, series_uid, labels, [Finding("IPH", 0.9, 14.2, Urgency.IMMEDIATE, 2)])
    selection.run(context, analysis)
    with context.pool.connection() as connection:
        [item] = workitems.of_answer(connection, analysis)
        connection.execute("UPDATE workitem SET readers = 1 WHERE id = %s", [item.id])
    return item.id


def hand_in(context: Context, item: int) -> None:
    """What the editor does when ana hands in a slice less than the answer has."""
    with context.pool.connection() as connection:
        ana = find_account(connection, "ana")
        assert ana is not None
        opened = open_item(context, connection, item, ana)
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, 8:16, 8:16] = 1
    mask = Mask(labels, read_grid(context, opened.item.series_uid))
    workflow.save(context, ana, item, mask, base_digest=opened.start_digest, tool="Nightjar editor", submit=True)


def test_from_the_queue_to_an_accepted_label(
    context: Context, new_page: NewPage, looks_fine: LooksFine, pages: ServedPages
) -> None:
    item = add_workitem(context)
    ana, cy = new_page("ana"), new_page("cy")
    ana.get_by_role("link", name="Review", exact=True).click()
    expect(ana.get_by_role("link", name="To annotate 1")).to_have_attribute("aria-current", "true")
    looks_fine(ana, "review-queue")
    ana.get_by_role("link", name=f"{item} · Intracranial haemorrhage, head CT").click()
    ana.get_by_role("button", name="Take it").click()
    ana.get_by_label("Grade").select_option("4")
    ana.get_by_role("button", name="Grade", exact=True).click()
    expect(ana.get_by_role("link", name="Open the editor")).to_be_visible()
    looks_fine(ana, "review-workitem-annotator")
    hand_in(context, item)
    ana.reload()
    expect(
        ana.get_by_text("You handed in your mask", exact=False).or_(ana.get_by_text("Annotated").first)
    ).to_be_visible()

    cy.goto(f"{pages.url}/review")
    row = cy.get_by_role("row").filter(has_text="Intracranial haemorrhage")
    expect(row).to_contain_text("A: ana")
    expect(row).to_contain_text("IPH 0.80")
    cy.get_by_role("link", name=f"{item} · Intracranial haemorrhage, head CT").click()
    cy.get_by_role("button", name="Take for review").click()
    looks_fine(cy, "review-workitem-reviewer")
    cy.get_by_role("button", name="Accept", exact=True).click()
    expect(cy.get_by_text("Accepted").first).to_be_visible()
    cy.goto(f"{pages.url}/review?tab=done")
    expect(cy.get_by_role("row").filter(has_text="Accepted")).to_have_count(1)


def test_tasks_and_people(context: Context, new_page: NewPage, looks_fine: LooksFine, pages: ServedPages) -> None:
    add_workitem(context)
    cy = new_page("cy")
    cy.goto(f"{pages.url}/review/tasks/ais-mri")
    expect(cy.get_by_text("Begin from the voxels whose ADC is at most 620")).to_be_visible()
    looks_fine(cy, "review-task")
    cy.goto(f"{pages.url}/review/workload")
    cy.get_by_label("since").first.fill("2012-05-01")
    looks_fine(cy, "review-workload")
    cy.get_by_role("button", name="Record").first.click()
    expect(cy.get_by_text("14 years")).to_be_visible()


def test_the_queue_follows_others_and_fits_a_phone(
    context: Context, new_page: NewPage, looks_fine: LooksFine, pages: ServedPages
) -> None:
    phone = new_page("ana", width=390, height=844)
    phone.goto(f"{pages.url}/review")
    expect(phone.get_by_text("Nothing here")).to_be_visible()
    add_workitem(context)
    phone.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(phone.get_by_text("Intracranial haemorrhage, head CT").last).to_be_visible()
    looks_fine(phone, "review-queue-phone")


def test_a_reader_study_is_rated_and_looked_at(
    context: Context, new_page: NewPage, looks_fine: LooksFine, pages: ServedPages
) -> None:
    with context.pool.connection() as connection:
        study = reader_studies.create(connection, "Short protocol", ["acquired", "enhanced"], 0.5, "cy")
        assert study is not None
    series = []
    for number in range(2):
        datasets = tilted_ct(shape=SHAPE, gaps_mm=(5.0,) * 5, seed=number)
        for each in datasets:
            each.SeriesInstanceUID = derive_uid(f"arm-{number}")
            each.SOPInstanceUID = derive_uid(f"arm-{number}-{each.InstanceNumber}")
        study_uid, series_uid = receive(context, datasets)
        series.append(series_uid)
    with context.pool.connection() as connection:
        for arm, series_uid in zip(("acquired", "enhanced"), series, strict=True):
            reader_studies.add_image(connection, study, study_uid, series_uid, arm)
    ana, cy = new_page("ana"), new_page("cy")
    ana.goto(f"{pages.url}/review/reader-studies")
    ana.get_by_role("link", name="Rate images").click()
    ana.get_by_label("Slice").fill("1")
    expect(ana.locator("#shown")).to_have_text("2")
    expect(ana.locator("#picture")).to_have_attribute("src", "/review/reader-studies/1/images/0/slices/1")
    looks_fine(ana, "reader-study-rate")
    for place in range(2):
        for group in ana.get_by_role("group").all():
            group.get_by_label(str(4 + place), exact=True).check()
        ana.get_by_role("button", name="Keep and go on").click()
    expect(ana.get_by_text("You have rated every image")).to_be_visible()
    cy.goto(f"{pages.url}/review/reader-studies")
    looks_fine(cy, "reader-studies")
    cy.get_by_role("button", name="Close and see results").click()
    expect(cy.get_by_role("row").filter(has_text="Diagnostic quality")).to_contain_text("4.")
    looks_fine(cy, "reader-study-results")
