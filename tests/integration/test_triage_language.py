"""Which language answers a request: the account's, the browser's choice, what it asks for; programs get English."""

from collections.abc import Iterator

import pytest
from httpx import Client
from support.triage import PASSWORD, ServedPages, add_account, flag_study, served

from services.context import Context

OURS = {"sec-fetch-site": "same-origin"}
CHINESE = {"accept-language": "zh-CN,zh;q=0.9"}


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    add_account(context, "ana")
    with served(context) as running:
        yield running


@pytest.fixture
def browser(pages: ServedPages) -> Iterator[Client]:
    with Client(base_url=pages.url) as client:
        yield client


def sign_in(client: Client) -> None:
    assert client.post("/sign-in", data={"name": "ana", "password": PASSWORD}, headers=OURS).status_code == 303


def test_before_the_sign_in_the_browser_decides_and_a_choice_is_kept(browser: Client) -> None:
    assert 'lang="en"' in browser.get("/sign-in").text
    assert "每次登录" in browser.get("/sign-in", headers=CHINESE).text
    chosen = browser.post("/language", data={"language": "en", "next": "/sign-in"}, headers=OURS)
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/sign-in")
    assert 'lang="en"' in browser.get("/sign-in", headers=CHINESE).text


def test_the_accounts_own_language_comes_first(context: Context, pages: ServedPages, browser: Client) -> None:
    sign_in(browser)
    assert browser.post("/language", data={"language": "zh-CN"}, headers=OURS).status_code == 303
    with Client(base_url=pages.url) as elsewhere:
        sign_in(elsewhere)
        assert 'lang="zh-CN"' in elsewhere.get("/", headers={"accept-language": "en"}).text
        refused = elsewhere.post("/studies/none/claim", headers=OURS | {"x-nightjar-live": "1"})
        assert refused.json() == {"detail": "这里没有该检查。"}


def test_programs_are_answered_in_english(context: Context, browser: Client) -> None:
    flag_study(context, 1, {}, urgency=3)
    sign_in(browser)
    browser.post("/language", data={"language": "zh-CN"}, headers=OURS)
    [study] = browser.get("/api/v1/worklist", headers=CHINESE).json()["studies"]
    assert study["ai_state"] == "No flag raised"


@pytest.mark.parametrize("target", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere"])
def test_a_choice_leads_nowhere_else(browser: Client, target: str) -> None:
    chosen = browser.post("/language", data={"language": "en", "next": target}, headers=OURS)
    assert chosen.headers["location"] == "/"


def test_other_sites_and_unknown_languages_change_nothing(browser: Client) -> None:
    assert browser.post("/language", data={"language": "zh-CN"}).status_code == 403
    assert browser.post("/language", data={"language": "tlh"}, headers=OURS).status_code == 422
    assert 'lang="en"' in browser.get("/sign-in").text
