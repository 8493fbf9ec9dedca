"""Debian's Chromium over the pages served from a real ledger."""

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright
from support.triage import PASSWORD, ServedPages, add_account, say_inference_lives, served

from services.context import Context
from services.ledger.accounts import Role
from services.review.extension import EXTENSION as REVIEW

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_AXE = files("axe_playwright_python").joinpath("axe.min.js")

NewPage = Callable[..., Page]

expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    add_account(context, "ana")
    add_account(context, "bo")
    with context.pool.connection() as connection:
        say_inference_lives(connection)
    with served(context) as running:
        yield running


@pytest.fixture
def editor_pages(context: Context) -> Iterator[ServedPages]:
    """The pages with the review's, for people who may annotate."""
    for name in ("ana", "bo"):
        add_account(context, name, Role.RADIOLOGIST, Role.ANNOTATOR)
    with served(context, (REVIEW,)) as running:
        yield running


@pytest.fixture
def new_page(chromium: Browser, pages: ServedPages) -> Iterator[NewPage]:
    """Opens the worklist as somebody signed in: `new_page("ana", width=390, height=844)`."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(name: str | None = "ana", width: int = 1280, height: int = 720, **options: Any) -> Page:
        browser_context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(browser_context)
        page = browser_context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None
        )
        page.goto(f"{pages.url}/")
        if name is not None:
            page.fill("#name", name)
            page.fill("#password", PASSWORD)
            page.click("main button[type=submit]")
            page.wait_for_url(lambda url: "/sign-in" not in url)  # people land where their roles work
        return page

    yield open_page
    for browser_context in contexts:
        browser_context.close()
    assert complaints == []


def _screenshot(page: Page, path: Path) -> None:
    """Chromium, starved, sometimes has no frame to give; a picture proves nothing, so it is asked again."""
    for remaining in (2, 1, 0):
        try:
            page.screenshot(path=path)
        except Error as error:
            if not remaining or "Unable to capture screenshot" not in error.message:
                raise
        else:
            return


@pytest.fixture
def looks_fine(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """No accessibility violation, no sideways scrolling; keeps a screenshot, in screenshots/ unless told otherwise."""

    def check(page: Page, name: str) -> None:
        directory = Path(os.environ.get("NIGHTJAR_SCREENSHOTS", "screenshots"))
        directory.mkdir(parents=True, exist_ok=True)
        _screenshot(page, directory / f"{name}.png")
        page.evaluate(_AXE.read_text())
        violations = page.evaluate("axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))")
        assert violations == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    return check
