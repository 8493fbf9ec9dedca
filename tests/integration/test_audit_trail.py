"""The audit trail as administrators and programs read it: the page and the command."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from httpx import Client
from support.triage import PASSWORD, ServedPages, add_account, flag_study, served
from typer.testing import CliRunner

from services.cli import app
from services.context import Context
from services.errors import SettingsError
from services.ledger.accounts import Role
from services.ledger.audit import Wanted, list_entries, record_audit
from services.triage.audit_trail import ON_A_PAGE

OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    add_account(context, "ana")
    add_account(context, "chief", Role.ADMINISTRATOR)
    with served(context) as running:
        yield running


@pytest.fixture
def config(context: Context, tmp_path: Path) -> Path:
    path = tmp_path / "nightjar.yaml"
    path.write_text(json.dumps(context.settings.model_dump(mode="json", include={"data_dir", "database"})))
    return path


@contextmanager
def signed_in(pages: ServedPages, name: str) -> Iterator[Client]:
    with Client(base_url=pages.url) as client:
        assert client.post("/sign-in", data={"name": name, "password": PASSWORD}, headers=OURS).status_code == 303
        yield client


def test_an_administrator_reads_who_looked_at_a_study(context: Context, pages: ServedPages) -> None:
    flag_study(context, 1, {"SDH": 31.2})
    flag_study(context, 2, {"SDH": 9.0}, name="OTHER^PAT")
    with signed_in(pages, "ana") as radiologist:
        one, two = (study["id"] for study in sorted(
            radiologist.get("/api/v1/worklist").json()["studies"], key=lambda study: study["patient_name"]
        ))  # fmt: skip
        radiologist.get(f"/studies/{one}")
    with signed_in(pages, "chief") as administrator:
        assert "/audit" in administrator.get("/").text
        study = administrator.get(f"/studies/{one}").text
        assert f"study={one}" in study
        whole = administrator.get("/audit").text
        assert "EXAMPLE, PAT" in whole
        assert "<code>sign-in</code>" in whole
        of_one = administrator.get("/audit", params={"study": one})
        assert "ana</a>" in of_one.text
        assert "OTHER" not in of_one.text
        of_two = administrator.get("/audit", params={"study": two}).text
        assert "ana</a>" not in of_two
        assert "Nothing was recorded" in of_two
        # Reading the trail is in the trail.
        assert "audit trail" in administrator.get("/audit", params={"name": "chief"}).text
        assert administrator.get("/audit", params={"study": "none"}).status_code == 404


def test_nobody_else_reads_it(pages: ServedPages) -> None:
    with signed_in(pages, "ana") as radiologist:
        assert radiologist.get("/audit").status_code == 403
        assert "/audit" not in radiologist.get("/").text


def test_a_long_trail_is_read_page_by_page_without_a_gap(context: Context, pages: ServedPages) -> None:
    with context.pool.connection() as connection:
        for number in range(ON_A_PAGE + 20):
            record_audit(connection, f"look-{number:03}", account="bo", address="10.0.0.9")
    with signed_in(pages, "chief") as administrator:
        first = administrator.get("/audit", params={"name": "bo"}).text
        older = first.split('href="/audit?')[-1].split('"')[0].replace("&amp;", "&")
        second = administrator.get(f"/audit?{older}").text
    assert [text.count("<code>look-") for text in (first, second)] == [ON_A_PAGE, 20]
    assert all(f"look-{number:03}" in first + second for number in range(ON_A_PAGE + 20))


def test_the_command_prints_it_for_people_and_for_programs(context: Context, config: Path) -> None:
    study_uid, _ = flag_study(context, 1, {"SDH": 31.2})
    with context.pool.connection() as connection:
        record_audit(connection, "view", account="ana", address="10.0.0.9", study_uid=study_uid)
        record_audit(connection, "sign-in", account=None, address="10.0.0.9", outcome="failure")
    run = CliRunner().invoke
    table = run(app, ["audit", "--config", str(config)])
    assert table.exit_code == 0
    assert "ana" in table.stdout
    lines = run(app, ["audit", "--study", study_uid, "--json", "--config", str(config)]).stdout
    [row] = json.loads(lines)
    assert (row["account"], row["action"], row["study_uid"]) == ("ana", "view", study_uid)
    assert "EXAMPLE" not in lines + table.stdout  # the page shows patients; a terminal keeps what it printed
    assert json.loads(run(app, ["audit", "--account", "bo", "--json", "--config", str(config)]).stdout) == []
    for wrong in (["--study", "1.2.3"], ["--since", "yesterday"]):
        assert isinstance(run(app, ["audit", *wrong, "--config", str(config)]).exception, SettingsError)


def test_rows_before_the_time_asked_for_stay_out(context: Context) -> None:
    with context.pool.connection() as connection:
        record_audit(connection, "view", account="ana", address=None)
        later = context.now() + timedelta(hours=1)
        assert list_entries(connection, Wanted(later)) == []
        assert len(list_entries(connection, Wanted(later - timedelta(hours=2)))) == 1
