"""Signing in by an identity provider in a real browser, to which provider and pages are different sites."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from support.identity_provider import IdentityProvider, run_identity_provider, with_sign_on
from support.ports import free_ports
from support.triage import ServedPages, flag_study

from services.context import Context

LooksFine = Callable[[Page, str], None]


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with run_identity_provider() as running:
        yield running


@pytest.fixture
def site(context: Context, provider: IdentityProvider) -> Iterator[str]:
    [port] = free_ports(1)
    url = f"http://localhost:{port}"  # the provider is 127.0.0.1, which no browser takes for the same site
    pages = ServedPages(with_sign_on(context, provider.issuer, pages_url=url, passwords=False))
    pages.port = port
    pages.start()
    yield url
    pages.stop()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    browser_context = chromium.new_context(viewport={"width": 1280, "height": 720})
    yield browser_context.new_page()
    browser_context.close()


def test_a_radiologist_comes_back_to_the_study_they_wanted(
    context: Context, provider: IdentityProvider, site: str, page: Page, looks_fine: LooksFine
) -> None:
    provider.set_person("ana-1", preferred_username="ana", groups=["radiology"])
    flag_study(context, 1, {"SDH": 31.2})
    page.goto(f"{site}/shift")
    looks_fine(page, "sign-on")
    page.get_by_role("link", name="Sign in with your hospital account").click()
    page.fill("input[name=sub]", "ana-1")
    page.get_by_role("button", name="Authorize").click()
    expect(page).to_have_url(f"{site}/shift")
    page.goto(f"{site}/")
    expect(page.get_by_role("link", name="EXAMPLE, PAT")).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="EXAMPLE, PAT")).to_be_visible()


def test_who_has_no_role_and_who_thinks_better_of_it_read_why(
    provider: IdentityProvider, site: str, page: Page, looks_fine: LooksFine
) -> None:
    provider.set_person("cook-1", preferred_username="cook", groups=["canteen"])
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(site)
    way_in = page.get_by_role("link", name="Sign in with your hospital account")
    way_in.click()
    page.fill("input[name=sub]", "cook-1")
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("alert")).to_have_text("You have no role in Nightjar. Ask whoever looks after its groups.")
    looks_fine(page, "sign-on-no-role")
    way_in.click()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("alert")).to_have_text("This sign-in did not succeed. Begin again.")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("link", name="使用医院账户登录")).to_be_visible()
    assert "return" not in page.url
