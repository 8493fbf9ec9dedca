"""Sign-in by an identity provider: a real one over real sockets, the people it vouches for, and those it does not."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx import Client, Response
from oidc_provider_mock import app as provider_app
from pydantic import ValidationError
from support.certificates import certify
from support.identity_provider import ROLES, IdentityProvider, run_identity_provider, with_sign_on
from support.ports import free_ports
from support.triage import PASSWORD, ServedPages, add_account, served
from typer.testing import CliRunner
from werkzeug.serving import make_server

from services.cli import app
from services.context import Context
from services.errors import SettingsError
from services.ledger.accounts import Role, find_account, save_language, verify
from services.ledger.audit import Wanted, list_entries
from services.ledger.provided_accounts import await_person
from services.processes import user_name
from services.sign_on_settings import SignOnSettings
from services.triage.sessions import COOKIE
from services.triage.single_sign_on import ONGOING

OURS = {"sec-fetch-site": "same-origin"}
ANA = {"preferred_username": "Ana@hospital.example", "groups": ["radiology", "canteen"]}


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with run_identity_provider() as running:
        yield running


@pytest.fixture
def pages(context: Context, provider: IdentityProvider) -> Iterator[ServedPages]:
    with served(with_sign_on(context, provider.issuer)) as running:
        yield running


@pytest.fixture
def browser(pages: ServedPages) -> Iterator[Client]:
    with Client(base_url=pages.url) as client:
        yield client


def begin(browser: Client, page: str = "/") -> str:
    """The provider's address that the person is sent to."""
    answer = browser.get("/sign-in/provider", params={"next": page})
    assert answer.status_code == 302
    return str(answer.headers["location"])


def come_back(browser: Client, address: str) -> Response:
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}" == "http://pages.example"
    return browser.get(f"{parts.path}?{parts.query}")


def sign_in(browser: Client, provider: IdentityProvider, subject: str, page: str = "/") -> Response:
    return come_back(browser, provider.approve(begin(browser, page), subject))


def audit_rows(context: Context) -> list[tuple[str | None, str]]:
    with context.pool.connection() as connection:
        rows = connection.execute("SELECT account, outcome FROM audit WHERE action = 'sign-in' ORDER BY id").fetchall()
    return [(row["account"], row["outcome"]) for row in rows]


def roles_of(context: Context, name: str) -> set[Role] | None:
    with context.pool.connection() as connection:
        account = find_account(connection, name)
    return None if account is None else set(account.roles)


def test_who_the_provider_knows_reaches_the_page_they_wanted(
    context: Context, provider: IdentityProvider, browser: Client
) -> None:
    provider.set_person("ana-1", **ANA)
    assert "Sign in with your hospital account" in browser.get("/sign-in").text
    answer = sign_in(browser, provider, "ana-1", "/shift")
    assert (answer.status_code, answer.headers["location"]) == (303, "/shift")
    assert browser.get("/shift").status_code == 200
    assert ONGOING not in browser.cookies
    assert roles_of(context, "ana") == {Role.RADIOLOGIST}
    assert audit_rows(context) == [("ana", "success")]


def test_what_is_sent_to_the_provider_is_what_the_standard_asks(browser: Client) -> None:
    query = {key: value for key, [value] in parse_qs(urlsplit(begin(browser)).query).items()}
    assert query["response_type"] == "code"
    assert query["redirect_uri"] == "http://pages.example/sign-in/return"
    assert query["code_challenge_method"] == "S256"
    assert {"openid", "profile"} == set(query["scope"].split())
    assert all(len(query[name]) >= 16 for name in ("state", "nonce", "code_challenge"))


@pytest.mark.parametrize("page", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_no_foreign_page_is_opened_afterwards(provider: IdentityProvider, browser: Client, page: str) -> None:
    provider.set_person("ana-1", **ANA)
    assert sign_in(browser, provider, "ana-1", page).headers["location"] == "/"


def test_roles_are_those_of_the_groups_of_today(context: Context, provider: IdentityProvider, browser: Client) -> None:
    provider.set_person("ana-1", **ANA)
    sign_in(browser, provider, "ana-1")
    provider.set_person("ana-1", preferred_username="another", groups=["neuro-review", "pacs-team"])
    assert sign_in(browser, provider, "ana-1").status_code == 303
    assert roles_of(context, "ana") == {Role.REVIEWER, Role.ADMINISTRATOR}  # the same account, whatever its name is now
    assert roles_of(context, "another") is None


def test_who_lost_every_role_is_signed_out_everywhere(
    context: Context, provider: IdentityProvider, pages: ServedPages, browser: Client
) -> None:
    provider.set_person("ana-1", **ANA)
    sign_in(browser, provider, "ana-1")
    provider.set_person("ana-1", preferred_username="ana", groups=["canteen"])
    with Client(base_url=pages.url) as elsewhere:
        answer = sign_in(elsewhere, provider, "ana-1")
        assert answer.status_code == 403
        assert "You have no role in Nightjar" in answer.text
        assert COOKIE not in elsewhere.cookies
    assert roles_of(context, "ana") == set()
    assert browser.get("/").status_code == 303
    assert audit_rows(context) == [("ana", "success"), (None, "failure")]


def test_who_never_had_a_role_gets_no_account(context: Context, provider: IdentityProvider, browser: Client) -> None:
    provider.set_person("cook-1", preferred_username="cook", groups="canteen")
    assert sign_in(browser, provider, "cook-1").status_code == 403
    assert roles_of(context, "cook") is None


def test_a_local_account_is_not_taken_over(context: Context, provider: IdentityProvider, browser: Client) -> None:
    add_account(context, "ana", Role.ADMINISTRATOR)
    provider.set_person("ana-1", **ANA)
    answer = sign_in(browser, provider, "ana-1")
    assert answer.status_code == 403
    assert "There is another account called ana here." in answer.text
    assert roles_of(context, "ana") == {Role.ADMINISTRATOR}


def test_an_account_that_a_site_handed_over_keeps_all_but_its_password(
    context: Context, provider: IdentityProvider, browser: Client
) -> None:
    add_account(context, "ana", Role.ADMINISTRATOR)
    provider.set_person("ana-1", **ANA)
    with context.pool.connection() as connection:
        save_language(connection, "ana", "zh-CN")
        await_person(connection, "ana")
    answer = browser.post("/sign-in", data={"name": "ana", "password": PASSWORD}, headers=OURS)
    assert answer.status_code == 401
    assert sign_in(browser, provider, "ana-1").status_code == 303
    assert 'lang="zh-CN"' in browser.get("/").text
    assert roles_of(context, "ana") == {Role.RADIOLOGIST}
    with context.pool.connection() as connection:
        await_person(connection, "ana")  # theirs by now, and stays so
    assert browser.get("/").status_code == 200
    provider.set_person("another-1", **ANA)
    assert sign_in(browser, provider, "another-1").status_code == 403


@pytest.mark.parametrize("name", ["", "@hospital.example", "ana maria", "ana/maria", "a" * 41, 7.5, ["ana"]])
def test_a_name_that_is_none_of_an_account_is_refused(
    provider: IdentityProvider, browser: Client, context: Context, name: object
) -> None:
    provider.set_person("odd-1", preferred_username=name, groups=["radiology"])
    answer = sign_in(browser, provider, "odd-1")
    assert answer.status_code == 403
    assert "no name that Nightjar can use" in answer.text
    with context.pool.connection() as connection:
        assert connection.execute("SELECT count(*) AS n FROM account").fetchone() == {"n": 0}


def test_claims_may_lie_deeper_and_be_called_otherwise(context: Context, provider: IdentityProvider) -> None:
    """As Keycloak's realm roles do."""
    site = with_sign_on(
        context, provider.issuer, name_claim="email", roles_claim="realm_access.roles", scopes=("openid", "email")
    )
    provider.set_person("bo-1", email="bo@hospital.example", realm_access={"roles": ["radiology"]})
    with served(site) as pages, Client(base_url=pages.url) as browser:
        assert sign_in(browser, provider, "bo-1").status_code == 303
    assert roles_of(context, "bo") == {Role.RADIOLOGIST}


def test_a_provided_account_has_no_password(context: Context, provider: IdentityProvider, browser: Client) -> None:
    provider.set_person("ana-1", **ANA)
    sign_in(browser, provider, "ana-1")
    with context.pool.connection() as connection:
        row = connection.execute("SELECT password_hash FROM account WHERE name = 'ana'").fetchone()
    assert row is not None
    for guess in ("", row["password_hash"], PASSWORD):
        answer = browser.post("/sign-in", data={"name": "ana", "password": guess or " "}, headers=OURS)
        assert answer.status_code == 401


def test_local_accounts_stay_beside_it_unless_the_site_says_otherwise(
    context: Context, provider: IdentityProvider, browser: Client
) -> None:
    add_account(context, "bo")
    credentials = {"name": "bo", "password": PASSWORD}
    assert browser.post("/sign-in", data=credentials, headers=OURS).status_code == 303
    with served(with_sign_on(context, provider.issuer, passwords=False)) as pages, Client(base_url=pages.url) as strict:
        assert 'name="password"' not in strict.get("/sign-in").text
        assert strict.post("/sign-in", data=credentials, headers=OURS).status_code == 403
        assert COOKIE not in strict.cookies


@pytest.mark.parametrize("tampered", [{"nonce": "an-earlier-sign-in"}, {"client_id": "another-application"}])
def test_a_token_for_another_sign_in_or_application_opens_nothing(
    context: Context, provider: IdentityProvider, browser: Client, tampered: dict[str, str]
) -> None:
    provider.set_person("ana-1", **ANA)
    answer = come_back(browser, provider.approve(begin(browser), "ana-1", **tampered))
    assert answer.status_code == 401
    assert "Begin again" in answer.text
    assert COOKIE not in browser.cookies
    assert audit_rows(context) == [(None, "failure")]


def test_a_return_that_another_browser_began_opens_nothing(
    provider: IdentityProvider, pages: ServedPages, browser: Client
) -> None:
    """Somebody is sent to the return of a sign-in that an attacker began: they would be signed in as the attacker."""
    provider.set_person("ana-1", **ANA)
    address = provider.approve(begin(browser), "ana-1")
    with Client(base_url=pages.url) as victim:
        assert come_back(victim, address).status_code == 401
        begin(victim)
        assert come_back(victim, address).status_code == 401
        assert COOKIE not in victim.cookies


def test_a_return_works_once(provider: IdentityProvider, browser: Client) -> None:
    provider.set_person("ana-1", **ANA)
    address = provider.approve(begin(browser), "ana-1")
    ongoing = browser.cookies[ONGOING]
    assert come_back(browser, address).status_code == 303
    browser.cookies.clear()
    browser.cookies.set(ONGOING, ongoing, path="/sign-in/return")
    assert come_back(browser, address).status_code == 401
    assert COOKIE not in browser.cookies


def test_a_token_past_its_time_opens_nothing(context: Context) -> None:
    with run_identity_provider(token_age=timedelta(hours=-1)) as provider:
        provider.set_person("ana-1", **ANA)
        with served(with_sign_on(context, provider.issuer)) as pages, Client(base_url=pages.url) as browser:
            assert sign_in(browser, provider, "ana-1").status_code == 401
            assert COOKIE not in browser.cookies


def test_a_provider_that_calls_itself_otherwise_is_not_asked(context: Context, provider: IdentityProvider) -> None:
    with served(with_sign_on(context, f"{provider.issuer}/")) as pages, Client(base_url=pages.url) as browser:
        assert browser.get("/sign-in/provider").status_code == 401


def test_a_provider_that_does_not_answer_is_said_to(context: Context) -> None:
    [nobody] = free_ports(1)
    with served(with_sign_on(context, f"http://127.0.0.1:{nobody}")) as pages, Client(base_url=pages.url) as browser:
        answer = browser.get("/sign-in/provider")
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert 'name="password"' in answer.text  # the other way in stays


def test_a_certificate_of_the_hospitals_own_authority_is_trusted_where_it_is_named(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = certify(tmp_path, "provider")
    server = make_server("127.0.0.1", 0, provider_app(), threaded=True, ssl_context=(str(certificate), str(key)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        site = with_sign_on(context, f"https://127.0.0.1:{server.server_port}")
        with served(site) as pages, Client(base_url=pages.url) as browser:
            assert browser.get("/sign-in/provider").status_code == 503
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            assert browser.get("/sign-in/provider").status_code == 302
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_refusal_at_the_provider_leads_back_and_its_words_stay_out_of_the_log(
    browser: Client, caplog: pytest.LogCaptureFixture
) -> None:
    begin(browser)
    with caplog.at_level(logging.WARNING):
        answer = browser.get("/sign-in/return", params={"error": "access_denied", "error_description": "EXAMPLE^PAT"})
        assert answer.status_code == 401
        begin(browser)
        browser.get("/sign-in/return", params={"error": "EXAMPLE^PAT\nforged line"})
    assert "access_denied" in caplog.text
    assert "EXAMPLE" not in caplog.text + answer.text


def test_the_command_hands_an_account_over_or_says_what_it_lacks(context: Context, tmp_path: Path) -> None:
    add_account(context, "ana")
    config = tmp_path / "nightjar.yaml"
    config.write_text(json.dumps(context.settings.model_dump(mode="json", include={"data_dir", "database"})))
    program = CliRunner()
    given_up = program.invoke(app, ["account", "ana", "--provided", "--config", str(config)])
    assert (given_up.exit_code, "no longer opens it" in given_up.stdout) == (0, True)
    with context.pool.connection() as connection:
        [made] = list_entries(connection, Wanted(context.now() - timedelta(hours=1)))
        assert (made.action, made.account) == ("account handed over", user_name())
        assert verify(connection, "ana", PASSWORD) is None
    for arguments in (["bo"], ["bo", "--provided", "--role", "radiologist"]):
        refused = program.invoke(app, ["account", *arguments, "--config", str(config)])
        assert isinstance(refused.exception, SettingsError)


def test_without_a_provider_there_is_nothing_to_ask(context: Context) -> None:
    with served(context) as pages, Client(base_url=pages.url) as browser:
        assert "Sign in with" not in browser.get("/sign-in").text
        assert browser.get("/sign-in/provider").status_code == 404
        assert browser.get("/sign-in/return").status_code == 404


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("issuer", "http://login.example"),
        ("issuer", "https://name:word@login.example"),
        ("scopes", ("profile",)),
        ("roles", {"radiology": "king"}),
        ("pages_url", "nightjar"),
    ],
)
def test_settings_that_cannot_work_are_named(setting: str, value: object) -> None:
    good = {"issuer": "https://login.example", "client_id": "n", "pages_url": "https://n.example", "roles": ROLES}
    SignOnSettings.model_validate(good)
    with pytest.raises(ValidationError, match=setting):
        SignOnSettings.model_validate(good | {setting: value})
