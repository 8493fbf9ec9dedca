"""The page that holds models against experts, as its people see it."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from support.images import analyse, receive
from support.scanned import SHAPE, scanned_ct
from support.triage import ServedPages, add_account, say_inference_lives, served

from models.prediction import Finding, Urgency
from services.context import Context
from services.ledger.accounts import Role
from services.review.extension import EXTENSION

NewPage = Callable[..., Page]
LooksFine = Callable[[Page, str], None]


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    add_account(context, "cy", Role.RADIOLOGIST, Role.REVIEWER)
    with context.pool.connection() as connection:
        say_inference_lives(connection)
    with served(context, (EXTENSION,)) as running:
        yield running


def accepted(context: Context, number: int, scanner: str, flagged: dict[str, float], drawn: str) -> None:
    """A head CT whose corrected label was accepted; `drawn` as an annotation's labels."""
    datasets = scanned_ct(number, scanner)
    study_uid, series_uid = receive(context, datasets)
    findings = [Finding(label, 0.9, ml, Urgency.IMMEDIATE, 2) for label, ml in flagged.items()]
    analysis = analyse(context, study_uid, series_uid, np.zeros(SHAPE, np.uint8), findings)
    with context.pool.connection() as connection:
        item = connection.execute(
            """INSERT INTO workitem (study_uid, series_uid, analysis_id, task, cause, ai_digest)
               VALUES (%s, %s, %s, 'ich', 'hand', 'a') RETURNING id""",
            [study_uid, series_uid, analysis],
        ).fetchone()
        assert item is not None
        mask = connection.execute(
            """INSERT INTO annotation (workitem_id, slot, round, author, mask_digest, tool, submitted, labels)
               VALUES (%s, 'A', 1, 'ana', 'b', 'Nightjar editor', true, %s) RETURNING id""",
            [item["id"], drawn],
        ).fetchone()
        assert mask is not None
        for state in ("annotated", "in_review", "accepted"):
            connection.execute(
                "UPDATE workitem SET state = %s, standing_id = %s WHERE id = %s", [state, mask["id"], item["id"]]
            )
        connection.execute(
            """INSERT INTO decision (workitem_id, round, source, target, account, role)
               VALUES (%s, 1, 'in_review', 'accepted', 'cy', 'reviewer')""",
            [item["id"]],
        )


def test_versions_and_scanners_against_experts(
    context: Context, new_page: NewPage, pages: ServedPages, looks_fine: LooksFine
) -> None:
    page = new_page("cy")
    page.goto(f"{pages.url}/review/experts")
    expect(page.get_by_role("heading", name="No label accepted in these 90 days")).to_be_visible()
    looks_fine(page, "experts-none")
    accepted(context, 1, "Kranich 5", {"IPH": 20.0}, '{"IPH": {"volume_ml": 24.0, "dice_ai": 0.84}}')
    accepted(context, 2, "Kranich 5", {}, '{"SDH": {"volume_ml": 6.0, "dice_ai": 0.0}}')
    accepted(context, 3, "Sturmvogel", {"IPH": 3.0}, "{}")
    page.goto(f"{pages.url}/review")
    page.get_by_role("link", name="Model against experts").click()
    expect(page.locator(".headline")).to_contain_text("3 studies with an accepted label")
    flags = page.get_by_role("region", name="By model version and scanner: Flags")
    expect(flags.get_by_role("row", name="ich 0.1.0 Nordwind Kranich 5 2 1 1 0 0 0 (0 %)")).to_be_visible()
    volumes = page.get_by_role("region", name="By model version: Outlines and volumes")
    expect(volumes.get_by_role("row", name="ich 0.1.0 IPH 2 0.84 -0.5 3.5")).to_be_visible()
    looks_fine(page, "experts")
    page.set_viewport_size({"width": 390, "height": 844})
    looks_fine(page, "experts-390")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", name="模型与专家对照")).to_be_visible()
    looks_fine(page, "experts-chinese")
