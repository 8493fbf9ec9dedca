"""Who may see and do what, and what is written down about it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from httpx import Client
from starlette.routing import Route
from support.triage import PASSWORD, ServedPages, add_account, add_study, flag_study, served

from services.context import Context
from services.errors import Reject, SettingsError, StoreAway
from services.ledger.accounts import Role, create_account, ensure_first_account, verify
from services.settings import Settings
from services.triage.app import bind, create_app, run
from services.triage.guard import OPEN_ADDRESSES
from services.triage.sessions import COOKIE, FAILURES_ALLOWED

OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    with served(context) as running:
        yield running


@pytest.fixture
def browser(pages: ServedPages) -> Iterator[Client]:
    with Client(base_url=pages.url) as client:
        yield client


def sign_in(client: Client, name: str, password: str = PASSWORD, **form: str) -> int:
    response = client.post("/sign-in", data={"name": name, "password": password, **form}, headers=OURS)
    return response.status_code


def audit_rows(context: Context) -> list[tuple[str | None, str, str, str | None]]:
    with context.pool.connection() as connection:
        rows = connection.execute("SELECT account, action, outcome, study_uid FROM audit ORDER BY id").fetchall()
    return [(row["account"], row["action"], row["outcome"], row["study_uid"]) for row in rows]


def test_everything_but_a_few_named_addresses_needs_a_sign_in(context: Context, browser: Client) -> None:
    paths = {
        route.path.replace("{key}", "k").replace("{study_id}", "k").replace("{analysis_id}", "1")
        for route in create_app(context).routes
        if isinstance(route, Route)
    } | {
        "/",
        "/events",
        "/studies/k",
        "/studies/k/claim",
        "/studies/k/view",
        "/studies/k/series/k/voxels",
        "/studies/k/opinion",
        "/studies/k/hand-over",
        "/hand-over",
        "/acknowledge",
        "/search",
        "/shift",
        "/burden",
        "/audit",
        "/previews/1",
        "/api/v1/worklist",
        "/api/v1/openapi.json",
        "/docs",
    }
    for path in paths - OPEN_ADDRESSES:
        assert browser.get(path).status_code in (303, 401), path
        assert browser.post(path, headers=OURS).status_code == 401, path
        assert "EXAMPLE" not in browser.get(path).text


def test_health_needs_no_sign_in(browser: Client) -> None:
    assert browser.get("/healthz").status_code == 200
    assert browser.get("/readyz").status_code == 200


def test_signing_in_opens_the_page_asked_for_and_nothing_elsewhere(context: Context, browser: Client) -> None:
    add_account(context, "ana")
    answer = browser.get("/studies/k")
    assert answer.headers["location"] == "/sign-in?next=/studies/k"
    for target, place in (("/studies/k", "/studies/k"), ("//evil", "/"), ("https://evil", "/"), ("/\\evil", "/")):
        response = browser.post("/sign-in", data={"name": "ana", "password": PASSWORD, "next": target}, headers=OURS)
        assert (response.status_code, response.headers["location"]) == (303, place)
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert browser.get("/").status_code == 200


def test_signing_out_ends_it(context: Context, browser: Client) -> None:
    add_account(context, "ana")
    sign_in(browser, "ana")
    assert browser.post("/sign-out", headers=OURS).status_code == 303
    assert browser.get("/").status_code == 303
    assert [row[:3] for row in audit_rows(context)] == [("ana", "sign-in", "success"), ("ana", "sign-out", "success")]


def test_a_new_password_ends_every_session(context: Context, browser: Client) -> None:
    add_account(context, "ana")
    sign_in(browser, "ana")
    with context.pool.connection() as connection:
        connection.execute("UPDATE account SET password_hash = 'x' WHERE name = 'ana'")
    assert browser.get("/").status_code == 303


def test_a_forged_cookie_opens_nothing(context: Context, browser: Client) -> None:
    add_account(context, "ana")
    sign_in(browser, "ana")
    genuine = browser.cookies[COOKIE]
    browser.cookies.clear()
    # The signature's first character; the last one's lowest bits are padding.
    body, signature = genuine.rsplit(".", 1)
    browser.cookies.set(COOKIE, f"{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}")
    assert browser.get("/").status_code == 303


def test_failed_sign_ins_are_braked_and_recorded_without_what_was_typed(context: Context, browser: Client) -> None:
    add_account(context, "ana")
    for _ in range(FAILURES_ALLOWED):
        assert sign_in(browser, "ana", "wrong") == 401
    response = browser.post("/sign-in", data={"name": "ana", "password": PASSWORD}, headers=OURS)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 0
    sign_in(browser, "my secret password typed here")
    assert {row[:3] for row in audit_rows(context)} == {("ana", "sign-in", "failure"), (None, "sign-in", "failure")}


def test_an_unknown_name_gets_the_same_answer_and_is_not_written_down(context: Context, browser: Client) -> None:
    add_account(context, "ana")
    texts = [
        browser.post("/sign-in", data={"name": name, "password": "wrong"}, headers=OURS).text.replace(name, "")
        for name in ("ana", "nobody")
    ]
    assert texts[0] == texts[1]
    assert [row[0] for row in audit_rows(context)] == ["ana", None]


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
def test_other_sites_cannot_post(context: Context, browser: Client, headers: dict[str, str]) -> None:
    add_account(context, "ana")
    sign_in(browser, "ana")
    with context.pool.connection() as connection:
        add_study(connection, 1)
    key = browser.get("/api/v1/worklist").json()["studies"][0]["id"]
    assert browser.post(f"/studies/{key}/claim", headers=headers).status_code == 403
    assert browser.get("/api/v1/worklist").json()["studies"][0]["claimed_by"] is None


def test_annotators_do_not_see_the_worklist_and_administrators_do_not_claim(
    context: Context, pages: ServedPages
) -> None:
    add_account(context, "anno", Role.ANNOTATOR)
    add_account(context, "admin", Role.ADMINISTRATOR)
    with context.pool.connection() as connection:
        add_study(connection, 1)
    with Client(base_url=pages.url) as annotator:
        sign_in(annotator, "anno")
        for path in ("/", "/api/v1/worklist", "/previews/1", "/studies/k", "/api/v1/status"):
            assert annotator.get(path).status_code == 403
    with Client(base_url=pages.url) as administrator:
        sign_in(administrator, "admin")
        key = administrator.get("/api/v1/worklist").json()["studies"][0]["id"]
        assert administrator.post(f"/studies/{key}/claim", headers=OURS).status_code == 403


def test_every_look_and_change_is_recorded(context: Context, browser: Client) -> None:
    add_account(context, "ana")
    study_uid, analysis_id = flag_study(context, 1, {"IPH": 12.0})
    sign_in(browser, "ana")
    for _ in range(3):  # a live list refetches; the looks of one minute are one row
        browser.get("/")
    key = browser.get("/api/v1/worklist").json()["studies"][0]["id"]
    assert browser.get(f"/previews/{analysis_id}").headers["content-type"] == "image/png"
    browser.get(f"/studies/{key}")
    browser.post(f"/studies/{key}/claim", headers=OURS)
    browser.post(f"/studies/{key}/release", headers=OURS)
    assert audit_rows(context) == [
        ("ana", "sign-in", "success", None),
        ("ana", "worklist", "success", None),
        ("ana", "preview", "success", study_uid),
        ("ana", "study", "success", study_uid),
        ("ana", "claim", "success", study_uid),
        ("ana", "release", "success", study_uid),
    ]


def test_pages_carry_the_headers_that_keep_them_in(context: Context, browser: Client) -> None:
    add_account(context, "ana")
    sign_in(browser, "ana")
    for path in ("/", "/sign-in", "/studies/none", "/previews/99", "/static/live.js"):
        headers = browser.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert path.startswith("/static/") or headers["cache-control"] == "no-store"


def test_a_failure_is_a_designed_page_without_the_failures_text(
    context: Context, browser: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add_account(context, "ana")
    sign_in(browser, "ana")

    def fail(*_: object) -> None:
        raise ValueError("EXAMPLE^PAT")

    monkeypatch.setattr("services.triage.pages.worklist.list_studies", fail)
    response = browser.get("/")
    assert response.status_code == 500
    assert "Something went wrong here" in response.text
    assert "x-frame-options" in response.headers
    assert "EXAMPLE" not in response.text + caplog.text
    assert "ValueError" in caplog.text


def test_without_the_ledger_pages_say_so(context: Context, browser: Client) -> None:
    add_account(context, "ana")
    sign_in(browser, "ana")
    context.pool.close()
    response = browser.get("/")
    assert response.status_code == 503
    assert "The ledger does not answer" in response.text
    assert browser.get("/readyz").status_code == 503
    assert browser.get("/healthz").status_code == 200


def test_without_the_image_store_pictures_say_so_and_the_list_goes_on(
    context: Context, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_account(context, "ana")
    sign_in(browser, "ana")
    _, analysis_id = flag_study(context, 1, {"IPH": 12.0})

    def away(key: str) -> bytes:
        raise StoreAway("s3://nightjar does not answer.")

    monkeypatch.setattr(context.store, "get", away)
    response = browser.get(f"/previews/{analysis_id}")
    assert response.status_code == 503
    assert "The image store does not answer" in response.text
    assert browser.get("/").status_code == 200


def test_the_first_account_is_made_once(context: Context) -> None:
    first = ensure_first_account(context.pool)
    assert first is not None
    assert ensure_first_account(context.pool) is None
    with context.pool.connection() as connection:
        account = verify(connection, *first)
        assert account is not None
        assert account.roles == {Role.RADIOLOGIST}
        assert verify(connection, first[0], "guess") is None


@pytest.mark.parametrize(("name", "password"), [("", PASSWORD), ("Ana", PASSWORD), ("a b", PASSWORD), ("ana", "short")])
def test_unusable_accounts_are_refused(context: Context, name: str, password: str) -> None:
    with context.pool.connection() as connection, pytest.raises(Reject):
        create_account(connection, name, password, [Role.RADIOLOGIST])


def test_a_taken_name_is_refused(context: Context) -> None:
    add_account(context, "ana")
    with pytest.raises(Reject, match="already"):
        add_account(context, "ana")


def test_a_port_in_use_is_named(context: Context) -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        settings = Settings.model_validate({**context.settings.model_dump(), "web": {"port": port}})
        with pytest.raises(SettingsError, match=f"web.port = {port}"):
            run(replace(context, settings=settings))
