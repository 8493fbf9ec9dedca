"""Who looked at what, read by an administrator in a real browser."""

from collections.abc import Callable

from playwright.sync_api import Page, expect
from support.triage import ServedPages, add_account, flag_study

from services.context import Context
from services.ledger.accounts import Role

NewPage = Callable[..., Page]
LooksFine = Callable[[Page, str], None]


def test_from_the_worklist_to_who_looked_at_one_study(
    context: Context, pages: ServedPages, new_page: NewPage, looks_fine: LooksFine
) -> None:
    add_account(context, "chief", Role.ADMINISTRATOR)
    flag_study(context, 1, {"SDH": 31.2})
    flag_study(context, 2, {"IPH": 9.0}, name="OTHER^PAT")
    reader = new_page("ana")
    reader.get_by_role("link", name="EXAMPLE, PAT").click()
    reader.wait_for_url(lambda url: "/studies/" in url)
    page = new_page("chief")
    page.get_by_role("link", name="Audit trail").click()
    expect(page.get_by_role("heading", name="Audit trail")).to_be_visible()
    looks_fine(page, "audit")
    page.get_by_role("link", name="EXAMPLE, PAT").first.click()
    expect(page.get_by_text("Of one study:")).to_be_visible()
    expect(page.get_by_role("cell", name="view", exact=True).first).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    looks_fine(page, "audit-390")
    page.goto(f"{pages.url}/audit?name=nobody")
    expect(page.get_by_text("Nothing was recorded")).to_be_visible()
    looks_fine(page, "audit-none")
