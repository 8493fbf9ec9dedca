"""The review's pages as their people use them: queue, a workitem from start to acceptance, task, workload."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from hashlib import md5

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from support.ct import tilted_ct
from support.images import analyse, receive
from support.triage import ServedPages, add_account, say_inference_lives, served

from models.prediction import Finding, Urgency
from services.context import Context
from services.ledger import courses, reader_studies, workitem_changes, workitems
from services.ledger.accounts import Role, find_account
from services.ledger.workitems import Purpose
from services.results.uids import derive_uid
from services.review import selection, workflow
from services.review.extension import EXTENSION
from services.review.mask_nifti import write_nifti
from services.review.masks import Mask
from services.review.opening import open_item
from services.review.sources import put_mask, read_grid

NewPage = Callable[..., Page]
LooksFine = Callable[[Page, str], None]
SHAPE = (6, 32, 32)
PEOPLE = {"ana": Role.ANNOTATOR, "bo": Role.ANNOTATOR, "cy": Role.REVIEWER, "dee": Role.ARBITER}
ENGLISH = re.compile(r"\b(?:the|you|your|not|and|of|is|are|with|slice|workitem|readers?)\b", re.IGNORECASE)


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    for name, role in PEOPLE.items():
        add_account(context, name, role)
    with context.pool.connection() as connection:
        say_inference_lives(connection)
        for name in PEOPLE:
            courses.record_experience(connection, name, date(2004, 3, 1))
        for name in ("ana", "bo"):
            courses.admit(connection, name, "ich", passed=True, decided_by="cy", reason="Known to us.")
    with served(context, (EXTENSION,)) as running:
        yield running


def add_workitem(context: Context, *, readers: int = 1) -> int:
    """A flagged head CT whose answer became a workitem by rule."""
    study_uid, series_uid = receive(context, tilted_ct(shape=SHAPE, gaps_mm=(5.0,) * 5))
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 8:16, 8:16] = 1
    analysis = analyse(context, study_uid, series_uid, labels, [Finding("IPH", 0.9, 14.2, Urgency.IMMEDIATE, 2)])
    selection.run(context, analysis)
    with context.pool.connection() as connection:
        [item] = workitems.of_answer(connection, analysis)
        connection.execute("UPDATE workitem SET readers = %s WHERE id = %s", [readers, item.id])
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


def test_a_reader_is_admitted_by_training_and_a_test(
    context: Context, new_page: NewPage, looks_fine: LooksFine, pages: ServedPages
) -> None:
    add_account(context, "eve", Role.ANNOTATOR)
    references = {}
    for number in range(4):
        datasets = tilted_ct(shape=SHAPE, gaps_mm=(5.0,) * 5, seed=number)
        for each in datasets:
            each.StudyInstanceUID = derive_uid(f"course-study-{number}")
            each.SeriesInstanceUID = derive_uid(f"course-series-{number}")
            each.SOPInstanceUID = derive_uid(f"course-{number}-{each.InstanceNumber}")
        study_uid, series_uid = receive(context, datasets)
        labels = np.zeros(SHAPE, np.uint8)
        labels[1:4, 8 : 12 + 2 * number, 8:16] = 1
        mask = Mask(labels, read_grid(context, series_uid))
        references[series_uid] = mask
        with context.pool.connection() as connection:
            courses.record_experience(connection, "eve", date(2015, 1, 1))
            courses.add_reference(
                connection,
                task="ich",
                purpose=Purpose.TRAINING if number == 0 else Purpose.TEST,
                study_uid=study_uid,
                series_uid=series_uid,
                mask_digest=put_mask(context.store, mask),
                added_by="cy",
            )

    def draw_what_is_open() -> int:
        with context.pool.connection() as connection:
            eve = find_account(connection, "eve")
            items = workitems.of_course(connection, "eve", "ich")
        assert eve is not None
        left = [item for item in items if item.state is workitems.State.TO_ANNOTATE]
        for item in left:
            mask = references[item.series_uid]
            workflow.save(context, eve, item.id, mask, base_digest=None, tool="Nightjar editor", submit=True)
        return len(left)

    eve = new_page("eve")
    eve.goto(f"{pages.url}/review/tasks/ich")
    eve.get_by_role("button", name="Begin", exact=True).click()
    expect(eve.get_by_text("1 of your cases is still to be drawn.")).to_be_visible()
    eve.get_by_role("link", name=re.compile("^Number")).click()
    eve.get_by_role("link", name="Open the editor").click()
    expect(eve.locator("main.editor[data-state=ready]")).to_be_visible()
    assert draw_what_is_open() == 1
    eve.goto(f"{pages.url}/review/tasks/ich")
    eve.get_by_role("button", name="Begin the test").click()
    expect(eve.get_by_text("3 of your cases are still to be drawn.")).to_be_visible()
    looks_fine(eve, "review-course")
    assert draw_what_is_open() == 3
    eve.reload()
    expect(eve.get_by_text("Admitted", exact=False).first).to_contain_text("mean Dice 1.00 (at least 0.75)")
    expect(eve.get_by_text("You are admitted to this task.")).to_be_visible()


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


def grade(page: Page, value: str = "4") -> None:
    page.get_by_label("Grade").select_option(value)
    page.get_by_role("button", name="Grade", exact=True).click()


def test_two_readers_differ_and_an_arbiter_settles_it(
    context: Context, new_page: NewPage, looks_fine: LooksFine, pages: ServedPages
) -> None:
    """Annotator, annotator, reviewer and arbiter, each in a browser of their own, from the queue to the label."""
    item = add_workitem(context, readers=2)
    ana, bo, cy, dee = (new_page(name) for name in PEOPLE)
    for page in (ana, bo):
        page.goto(f"{pages.url}/review/{item}")
        page.get_by_role("button", name="Take it").click()
        grade(page)
    expect(bo.get_by_text("ana", exact=True)).to_have_count(0)
    ana.goto(f"{pages.url}/review/{item}/edit")
    expect(ana.locator("main.editor[data-state=ready]")).to_be_visible()
    ana.click("#submit")
    expect(ana.locator("#message")).to_contain_text("Accepted unchanged")

    with context.pool.connection() as connection:
        reader = find_account(connection, "bo")
        assert reader is not None
        opened = open_item(context, connection, item, reader)
    elsewhere = np.zeros(SHAPE, np.uint8)
    elsewhere[1:4, 20:28, 18:26] = 1
    drawn = write_nifti(Mask(elsewhere, read_grid(context, opened.item.series_uid)))
    bo.goto(f"{pages.url}/review/{item}/upload")
    bo.set_input_files("#file", {"name": "bo.nii.gz", "mimeType": "application/gzip", "buffer": drawn})
    bo.click("#take")
    expect(bo.locator("main.editor[data-state=ready]")).to_be_visible()
    bo.click("#submit")
    expect(bo.locator("#after")).to_be_visible()

    cy.goto(f"{pages.url}/review?tab=disputed")
    expect(cy.get_by_role("row").filter(has_text="The readers differ. IPH: Dice 0.00 < 0.7")).to_be_visible()
    cy.goto(f"{pages.url}/review/{item}")
    expect(cy.get_by_role("button", name="Take it")).to_have_count(0)
    ana.goto(f"{pages.url}/review/{item}")
    expect(ana.get_by_text("Dice 0.00")).to_have_count(0)
    dee.goto(f"{pages.url}/review")
    expect(dee.get_by_role("link", name="Disputed 1")).to_have_attribute("aria-current", "true")
    dee.goto(f"{pages.url}/review/{item}")
    dee.get_by_role("button", name="Take it").click()
    for mask in ("AI", "A", "B", "Majority vote"):
        expect(dee.get_by_role("rowheader", name=re.compile(f"^{mask}"))).not_to_have_count(0)
    grade(dee)
    looks_fine(dee, "review-workitem-arbiter")
    dee.get_by_role("link", name="Open the editor").click()
    expect(dee.locator("main.editor[data-state=ready]")).to_be_visible()
    dee.click("#submit")
    expect(dee.locator("#after")).to_be_visible()

    cy.reload()
    cy.get_by_role("button", name="Accept", exact=True).click()
    expect(cy.get_by_text("Accepted").first).to_be_visible()
    history = cy.locator("ol.history")
    for line in ("Disputed, by rule", "Arbitrated, dee (arbiter)", "Accepted, cy (reviewer)"):
        expect(history).to_contain_text(line)
    looks_fine(cy, "review-workitem-accepted")


def test_the_review_in_chinese(context: Context, new_page: NewPage, looks_fine: LooksFine, pages: ServedPages) -> None:
    """No word of ours is left in English, task rules and reasons included; no accessibility violation."""
    item = add_workitem(context)
    with context.pool.connection() as connection:
        connection.execute("UPDATE account SET language = 'zh-CN'")
        study = reader_studies.create(connection, "R", ["A", "B"], 0.5, "cy", reader_studies.Design.PAIRS)
        assert study is not None
    ana, cy = new_page("ana"), new_page("cy")
    ana.goto(f"{pages.url}/review/{item}")
    ana.get_by_role("button", name="领取").click()
    ana.get_by_label("评分").select_option("2")
    ana.get_by_role("button", name="评分", exact=True).click()
    expect(ana.get_by_text("图像质量 2（较差），低于 3。").first).to_be_visible()
    for page, path, name in (
        (ana, f"/review/{item}", "workitem"),
        (ana, "/review?tab=done", "queue"),
        (ana, "/review/tasks/ais-mri", "task-ais"),
        (cy, "/review/tasks/cns-tumour-mri", "task-tumour"),
        (cy, "/review/workload", "workload"),
        (cy, f"/review/{item}", "workitem-lead"),
        (cy, "/review/reader-studies", "reader-studies"),
        (cy, f"/review/reader-studies/{study}/rate", "reader-study-rate"),
    ):
        page.goto(f"{pages.url}{path}")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        said = page.locator("#main").inner_text()
        assert [line for line in said.splitlines() if ENGLISH.search(line) and "CT Head" not in line] == [], path
        looks_fine(page, f"zh-review-{name}")


def test_the_queue_follows_others_by_itself_and_fits_a_phone(
    context: Context, new_page: NewPage, looks_fine: LooksFine, pages: ServedPages
) -> None:
    phone = new_page("ana", width=390, height=844)
    phone.goto(f"{pages.url}/review")
    expect(phone.get_by_text("Nothing here")).to_be_visible()
    item = add_workitem(context)
    expect(phone.get_by_text("Intracranial haemorrhage, head CT").last).to_be_visible()
    phone.locator(f"#item-{item}").focus()
    with context.pool.connection() as connection:
        held = workitems.read(connection, item)
        assert held is not None
        workitem_changes.assign(connection, held, workitems.Slot.A, "bo", by="cy")
    expect(phone.get_by_text("A: bo")).to_be_visible()
    expect(phone.locator(f"#item-{item}")).to_be_focused()
    looks_fine(phone, "review-queue-phone")
    pages.stop()
    expect(phone.locator("#lost")).to_be_visible(timeout=30000)
    pages.start()
    expect(phone.locator("#lost")).to_be_hidden(timeout=30000)


def test_a_reader_study_of_pairs_is_rated_and_looked_at(
    context: Context, new_page: NewPage, looks_fine: LooksFine, pages: ServedPages
) -> None:
    cy = new_page("cy")
    cy.goto(f"{pages.url}/review/reader-studies")
    cy.get_by_label("Name").fill("Short protocol")
    cy.get_by_label("Design").select_option("Pairs, side by side")
    cy.get_by_role("button", name="Make it").click()
    keys = []
    for case in range(3):
        for number in range(2):
            datasets = tilted_ct(shape=SHAPE, gaps_mm=(5.0,) * 5, seed=10 * case + number)
            for each in datasets:
                each.StudyInstanceUID = derive_uid(f"case-{case}")
                each.SeriesInstanceUID = derive_uid(f"arm-{case}-{number}")
                each.SOPInstanceUID = derive_uid(f"arm-{case}-{number}-{each.InstanceNumber}")
                each.SeriesDescription = ("Long", "Short")[number]
            study_uid, _ = receive(context, datasets)
        keys.append(md5(study_uid.encode(), usedforsecurity=False).hexdigest())
    for key in keys:
        cy.goto(f"{pages.url}/review/reader-studies/add?study={key}")
        for arm, series in (("acquired", "Long"), ("enhanced", "Short")):
            option = cy.get_by_label(arm).locator("option", has_text=series).get_attribute("value")
            cy.get_by_label(arm).select_option(option)
        looks_fine(cy, "reader-study-add")
        cy.get_by_role("button", name="Add", exact=True).click()
        expect(cy.get_by_text("Added already: acquired, enhanced")).to_be_visible()

    for name in ("ana", "bo"):
        page = new_page(name)
        page.goto(f"{pages.url}/review/reader-studies/1/rate")
        page.get_by_label("Slice").fill("1")
        expect(page.locator("#shown")).to_have_text("2")
        page.get_by_label("Contrast", exact=True).first.fill("2")
        for side in page.locator("img.picture").all():
            expect(side).to_have_attribute("src", re.compile(r"/slices/1\?contrast=1\.440&brightness=0\.00$"))
        assert page.locator("img.picture").count() == 2
        looks_fine(page, "reader-study-rate")
        for _ in range(3):
            for group in page.get_by_role("group").all():
                group.get_by_label("left slightly better").check()
            page.get_by_role("button", name="Keep and go on").click()
        expect(page.get_by_text("You have rated everything")).to_be_visible()
    cy.goto(f"{pages.url}/review/reader-studies")
    looks_fine(cy, "reader-studies")
    cy.get_by_role("button", name="Close and see results").click()
    expect(cy.get_by_text("2 readers, 3 cases, 6 ratings")).to_be_visible()
    looks_fine(cy, "reader-study-results")
