import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from services.errors import SettingsError
from services.ledger.accounts import Account, Role
from services.settings import Settings, WebSettings
from services.triage.guard import is_same_origin
from services.triage.sessions import (
    FAILURES_ALLOWED,
    FAILURES_ALLOWED_WIDELY,
    FAILURES_WINDOW,
    KEY_FILE,
    FailureBrake,
    Sessions,
    load_key,
)

ACCOUNT = Account("ana", frozenset({Role.RADIOLOGIST}), "stamp")


def test_a_session_is_read_back_and_only_under_its_own_key() -> None:
    cookie = Sessions("one", timedelta(hours=1)).issue(ACCOUNT)
    assert Sessions("one", timedelta(hours=1)).read(cookie) == ("ana", "stamp")
    assert Sessions("two", timedelta(hours=1)).read(cookie) is None
    assert Sessions("one", timedelta(seconds=-2)).read(cookie) is None


@pytest.mark.parametrize("cookie", [None, "", "x", "a.b.c", "InRleHQi.aSBa.x"])
def test_nonsense_is_no_session(cookie: str | None) -> None:
    assert Sessions("one", timedelta(hours=1)).read(cookie) is None


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    key = load_key(settings)
    assert load_key(settings) == key
    assert len(key) >= 48
    assert stat.S_IMODE((tmp_path / "data" / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == [KEY_FILE]


def test_an_unusable_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"data_dir = .*/file/data"):
        load_key(Settings(data_dir=tmp_path / "file" / "data"))


def test_a_key_of_the_sites_own_needs_no_directory_and_is_long_enough(tmp_path: Path) -> None:
    file = tmp_path / "key"
    settings = Settings(data_dir=tmp_path / "data", web=WebSettings(session_key_file=file))
    with pytest.raises(SettingsError, match=r"web\.session_key_file = .*key: cannot be read \(No such file"):
        load_key(settings)
    file.write_text("short\n")
    with pytest.raises(SettingsError, match="32 characters at least"):
        load_key(settings)
    file.write_text("k" * 64 + "\n")
    assert load_key(settings) == "k" * 64
    assert not (tmp_path / "data").exists()


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


def test_the_brake_closes_after_some_failures_and_opens_with_time() -> None:
    clock = Clock()
    brake = FailureBrake(clock)
    for _ in range(FAILURES_ALLOWED):
        assert brake.wait("ana", "1") is None
        brake.failed("ana", "1")
    assert brake.wait("ana", "1") == FAILURES_WINDOW
    assert brake.wait("bo", "1") is None  # a colleague behind the same proxy
    assert brake.wait("ana", "2") is None  # ana elsewhere is not locked out by a few guesses
    clock.time += FAILURES_WINDOW
    assert brake.wait("ana", "1") is None


def test_many_failures_close_an_account_everywhere_and_an_address_for_everybody() -> None:
    brake = FailureBrake(Clock())
    for number in range(FAILURES_ALLOWED_WIDELY):
        brake.failed("ana", f"elsewhere {number}")
        brake.failed(f"guess {number}", "one place")
    assert brake.wait("ana", "new place") == FAILURES_WINDOW
    assert brake.wait("bo", "one place") == FAILURES_WINDOW
    assert brake.wait("bo", "new place") is None


def test_a_success_forgets_ones_own_slips_and_nothing_wider() -> None:
    brake = FailureBrake(Clock())
    for _ in range(FAILURES_ALLOWED_WIDELY):
        brake.failed("ana", "1")
    brake.succeeded("ana", "1")
    assert brake.wait("ana", "1") == FAILURES_WINDOW
    brake = FailureBrake(Clock())
    for _ in range(FAILURES_ALLOWED):
        brake.failed("ana", "1")
    brake.succeeded("ana", "1")
    assert brake.wait("ana", "1") is None


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://here:8080"}, False),
        ({"origin": "http://here:8080"}, True),
        ({"origin": "http://here:8081"}, False),
        ({"origin": "null"}, False),
        ({}, False),
    ],
)
def test_only_our_own_pages_may_change_things(headers: dict[str, str], own: bool) -> None:
    assert is_same_origin(Headers({"host": "here:8080", **headers})) is own
