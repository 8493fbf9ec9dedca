"""What the worklist says, from real rows; and that it says so at once."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from psycopg.types.json import Jsonb
from support.triage import (
    PASSWORD,
    ServedPages,
    add_account,
    add_analysis,
    add_study,
    end_study,
    finish_analysis,
    flag_study,
    park_delivery,
    run_analysis,
    say_inference_lives,
    served,
)

from models.registry import load_card
from services.context import Context
from services.ledger import worklist
from services.ledger.accounts import Role
from services.ledger.images import key_of
from services.settings import Settings, WebSettings
from services.triage.app import bind

LIVE = {"x-nightjar-live": "1"}


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    add_account(context, "ana")
    add_account(context, "bo")
    add_account(context, "admin", Role.ADMINISTRATOR)
    with served(context) as running:
        yield running


@contextmanager
def client_of(pages: ServedPages, name: str = "ana") -> Iterator[httpx.Client]:
    """Somebody who is signed in."""
    with httpx.Client(base_url=pages.url, headers={"origin": pages.url}, timeout=10, follow_redirects=True) as client:
        client.post("/sign-in", data={"name": name, "password": PASSWORD}).raise_for_status()
        yield client


def test_rows_say_what_the_ledger_knows_and_escape_it(context: Context, pages: ServedPages) -> None:
    _, analysis_id = flag_study(context, 1, {"SDH": 48.2, "SAH": 3.0}, name="<script>alert(1)</script>^<b>")
    with context.pool.connection() as connection:
        park_delivery(connection, analysis_id, "main-pacs")
        end_study(connection, add_study(connection, 2), "not_applicable", "No series fits a model.")
    with client_of(pages) as client:
        text = client.get("/").text.replace("\u00a0", " ")
        assert "Suspected SDH 48.2 mL" in text
        assert "Not delivered to main-pacs" in text
        assert "No series fits a model." in text
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text
        assert "0.91" not in text  # no probability in the list
        assert "normal" not in text.lower()
        assert "negative" not in text.lower()
        study = client.get("/api/v1/worklist").json()["studies"][0]
        page = client.get(f"/studies/{study['id']}").text.replace("\u00a0", " ")
        assert "<script>alert" not in page
        for expected in (
            "48.2 mL",
            "Head CT without contrast, axial",
            "main-pacs",
            "The association was refused.",
            "ich 0.1.0",
        ):
            assert expected in page


def test_a_study_shows_volume_ranges_and_measurements_where_the_model_gave_them(
    context: Context, pages: ServedPages
) -> None:
    card = load_card("ich")
    _, analysis_id = flag_study(context, 1, {"SDH": 48.2, "SAH": 3.0})
    with context.pool.connection() as connection:
        connection.execute(
            "UPDATE finding SET volume_low_ml = 41.2, volume_high_ml = 55.04 WHERE label = 'SDH' AND analysis_id = %s",
            [analysis_id],
        )
        connection.execute(
            "UPDATE analysis SET model_version = %s, measurements = %s WHERE id = %s",
            [card.version, Jsonb({card.measures[0].name: 6.26}), analysis_id],
        )
    with context.pool.connection() as connection:
        [study] = worklist.list_studies(connection, datetime.now(UTC) - timedelta(days=1))
    with client_of(pages) as client:
        page = client.get(f"/studies/{study.key}").text.replace("\u00a0", " ")
    assert "41.2 to 55.0 mL" in page
    assert f"{card.measures[0].name.capitalize()} 6.3 {card.measures[0].unit}" in page
    assert card.measures[1].name.capitalize() not in page


def test_addresses_hold_nothing_about_the_patient_or_study(context: Context, pages: ServedPages) -> None:
    study_uid, _ = flag_study(context, 1, {"IPH": 5.0}, name="UNIQUENAME^X", accession="ACC77")
    with client_of(pages) as client:
        html = client.get("/").text
        addresses = [
            part.split('"')[0]
            for part in html.split('href="')[1:] + html.split('src="')[1:] + html.split('action="')[1:]
        ]
        assert addresses
        assert not any(
            secret in address for address in addresses for secret in (study_uid, "UNIQUENAME", "ACC77", "P00001")
        )


def test_the_api_answers_with_the_same_facts(context: Context, pages: ServedPages) -> None:
    flag_study(context, 1, {"IPH": 12.34})
    with client_of(pages) as client:
        answer = client.get("/api/v1/worklist?priority=immediate").json()
        study = answer["studies"][0]
        assert (study["urgency"], study["ai_state"], study["analyses"][0]["findings"]) == (
            1,
            "Flag",
            [{"label": "IPH", "volume_ml": 12.34, "volume_range_ml": None, "abc2_ml": None, "urgency": 1}],
        )
        assert client.get(f"/api/v1/studies/{study['id']}").json() == study
        assert client.get("/api/v1/studies/none").status_code == 404
        assert client.get("/api/v1/worklist?priority=standard").json()["studies"] == []
        assert client.get("/api/v1/status").json()["studies"] == {"analysed": 1}
        assert "/api/v1/worklist" in client.get("/api/v1/openapi.json").json()["paths"]


def test_a_claim_is_exclusive_and_given_back_by_its_holder_or_an_administrator(
    context: Context, pages: ServedPages
) -> None:
    with context.pool.connection() as connection:
        add_study(connection, 1)
    with client_of(pages) as ana, client_of(pages, "bo") as bo, client_of(pages, "admin") as admin:
        key = ana.get("/api/v1/worklist").json()["studies"][0]["id"]
        assert ana.post(f"/studies/{key}/claim", headers=LIVE).status_code == 204
        assert ana.post(f"/studies/{key}/claim", headers=LIVE).status_code == 204
        refused = bo.post(f"/studies/{key}/claim", headers=LIVE)
        assert (refused.status_code, refused.json()["detail"]) == (409, "ana has claimed this study.")
        assert bo.post(f"/studies/{key}/release", headers=LIVE).status_code == 409
        assert bo.get("/api/v1/worklist").json()["studies"][0]["claimed_by"] == "ana"
        assert admin.post(f"/studies/{key}/release", headers=LIVE).status_code == 204
        assert bo.post(f"/studies/{key}/claim", headers=LIVE).status_code == 204
        assert ana.post("/studies/none/claim", headers=LIVE).status_code == 404


def test_a_claim_is_handed_over_only_by_its_holder_and_only_to_a_reader(context: Context, pages: ServedPages) -> None:
    with context.pool.connection() as connection:
        uids = [add_study(connection, number) for number in (1, 2, 3)]
    with client_of(pages) as ana, client_of(pages, "bo") as bo, client_of(pages, "admin") as admin:
        keys = [key_of(uid) for uid in uids]
        for key in keys[:2]:
            ana.post(f"/studies/{key}/claim", headers=LIVE)
        for to in ("admin", "nobody", ""):
            assert ana.post(f"/studies/{keys[0]}/hand-over", data={"to": to}, headers=LIVE).status_code in (404, 422)
        assert bo.post(f"/studies/{keys[0]}/hand-over", data={"to": "bo"}, headers=LIVE).status_code == 409
        assert admin.post(f"/studies/{keys[0]}/hand-over", data={"to": "bo"}, headers=LIVE).status_code == 403
        assert ana.post(f"/studies/{keys[2]}/hand-over", data={"to": "bo"}, headers=LIVE).status_code == 409
        assert ana.post("/hand-over", data={"to": "bo"}, headers=LIVE).status_code == 204
        held = {study["id"]: study["claimed_by"] for study in bo.get("/api/v1/worklist").json()["studies"]}
        assert held == {keys[0]: "bo", keys[1]: "bo", keys[2]: None}
        assert "handed over to bo by ana" in bo.get(f"/studies/{keys[0]}").text.lower()


def test_an_acknowledgement_is_a_readers_own_and_names_an_alert(context: Context, pages: ServedPages) -> None:
    study_uid, analysis_id = flag_study(context, 1, {"IPH": 5.0})
    alert = f"{key_of(study_uid)}-{analysis_id}"
    with client_of(pages) as ana, client_of(pages, "bo") as bo:
        for wrong in ("", "x", f"{alert};--"):
            assert ana.post("/acknowledge", data={"alert": wrong}, headers=LIVE).status_code in (404, 422)
        assert ana.post("/acknowledge", data={"alert": [alert, alert]}, headers=LIVE).status_code == 204
        assert "data-alert" not in ana.get("/").text
        assert alert in bo.get("/").text


def test_the_pacs_is_opened_with_the_study_escaped(context: Context) -> None:
    add_account(context, "ana")
    web = WebSettings(pacs_url="https://pacs.example/open?acc={accession_number}&id={patient_id}&uid={study_uid}")
    elsewhere = replace(context, settings=context.settings.model_copy(update={"web": web}))
    with context.pool.connection() as connection:
        study_uid = add_study(connection, 1, accession="A&id=9 #")
    with served(elsewhere) as running, client_of(running) as client:
        for page in ("", "/view"):
            assert "Open in PACS" in client.get(f"/studies/{key_of(study_uid)}{page}").text
        answer = client.get(f"/studies/{key_of(study_uid)}/pacs", follow_redirects=False)
    assert answer.headers["location"] == f"https://pacs.example/open?acc=A%26id%3D9%20%23&id=P00001&uid={study_uid}"
    with served(context) as running, client_of(running) as client:
        assert client.get(f"/studies/{key_of(study_uid)}/pacs").status_code == 404
        assert "Open in PACS" not in client.get(f"/studies/{key_of(study_uid)}/view").text


def test_a_search_is_audited_and_finds_numbers_and_long_enough_parts_of_them(
    context: Context, pages: ServedPages
) -> None:
    with context.pool.connection() as connection:
        study_uid = add_study(connection, 1, name="DOE^JANE", accession="ACC%1", minutes_ago=60 * 24 * 400)
    with client_of(pages) as client:
        for text in ("P00001", "p00001", " ACC%1 ", "acc%1", "0000", "cc%1"):
            assert "DOE, JANE" in client.post("/search", data={"find": text}).text
        for text in ("P00", "%", "", "ACC_1", "%%%%", "\\\\\\\\"):
            assert "DOE, JANE" not in client.post("/search", data={"find": text}).text
    with context.pool.connection() as connection:
        rows = connection.execute("SELECT study_uid FROM audit WHERE action = 'search' ORDER BY id").fetchall()
    assert [row["study_uid"] for row in rows] == [None, study_uid] * 6 + [None] * 6


def test_readers_claiming_at_once_leave_one_holder(context: Context, pages: ServedPages) -> None:
    with context.pool.connection() as connection:
        study_uid = add_study(connection, 1)
    with client_of(pages) as ana, client_of(pages, "bo") as bo:
        key = ana.get("/api/v1/worklist").json()["studies"][0]["id"]
        codes: list[int] = []

        def take(client: httpx.Client) -> None:
            codes.append(client.post(f"/studies/{key}/claim", headers=LIVE).status_code)

        threads = [threading.Thread(target=take, args=[client]) for client in (ana, bo)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(codes) == [204, 409]
    with context.pool.connection() as connection:
        row = connection.execute(
            "SELECT count(*) AS n FROM event WHERE study_uid = %s AND kind = 'claimed'", [study_uid]
        ).fetchone()
    assert row == {"n": 1}


def test_a_commit_reaches_an_open_stream_and_a_rollback_does_not(context: Context, pages: ServedPages) -> None:
    with client_of(pages) as client, client.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in stream.iter_lines() if line.startswith("data:"))
        first = next(lines)
        with context.pool.connection() as connection:
            add_study(connection, 1)
            connection.rollback()
        assert next(lines) == first  # a beat, not a change
        with context.pool.connection() as connection:
            add_study(connection, 2)
        after = next(line for line in lines if line != first)
        assert "EXAMPLE" not in after


def test_the_stream_ends_when_the_process_stops(context: Context, pages: ServedPages) -> None:
    with client_of(pages) as client, client.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        pages.stop()
        for _ in lines:
            pass


def test_the_ai_is_down_until_inference_says_that_it_lives(context: Context, pages: ServedPages) -> None:
    with client_of(pages) as client, client.stream("GET", "/events") as stream:
        assert "AI is not running. Studies are in arrival order." in client.get("/").text
        with context.pool.connection() as connection:
            say_inference_lives(connection, ago_s=20)
            assert not worklist.inference_alive(connection)
            say_inference_lives(connection)
        next(line for line in stream.iter_lines() if '"ai": true' in line)
        assert "AI is not running" not in client.get("/").text


def test_a_study_from_arrival_to_flag(context: Context, pages: ServedPages) -> None:
    def word(client: httpx.Client) -> str:
        return str(client.get("/api/v1/worklist").json()["studies"][0]["ai_state"])

    with client_of(pages) as client:
        words = []
        with context.pool.connection() as connection:
            study_uid = add_study(connection, 1)
        words.append(word(client))
        with context.pool.connection() as connection:
            analysis_id = add_analysis(connection, study_uid)
        words.append(word(client))
        with context.pool.connection() as connection:
            run_analysis(connection, analysis_id)
        words.append(word(client))
        with context.pool.connection() as connection:
            finish_analysis(connection, analysis_id, {"IPH": 3.0}, urgency=1)
        words.append(word(client))
    assert words == ["Receiving", "Queued", "Running", "Flag"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_cleanly_with_a_page_open(context: Context, number: signal.Signals) -> None:
    add_account(context, "ana")
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    settings = Settings.model_validate({**context.settings.model_dump(), "web": {"port": port}})
    script = (
        "import sys\n"
        "from datetime import timedelta\n"
        "from services.context import Context\n"
        "from services.ledger.database import open_pool\n"
        "from services.settings import Settings\n"
        "from services.storage import LocalStore\n"
        "from services.triage import live\n"
        "from services.triage.app import run\n"
        "live.COALESCE = timedelta(seconds=1)\n"  # the signal comes while a burst is collected
        "settings = Settings.model_validate_json(sys.argv[1])\n"
        "with open_pool(settings.database_url) as pool:\n"
        "    run(Context(settings, pool, LocalStore(settings.store_path)))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, settings.model_dump_json()], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            while process.poll() is None:
                with suppress(httpx.ConnectError):
                    httpx.get(f"{url}/healthz")
                    break
            with httpx.Client(base_url=url, headers={"origin": url}, timeout=10) as client:
                client.post("/sign-in", data={"name": "ana", "password": PASSWORD})
                with client.stream("GET", "/events") as stream:
                    lines = stream.iter_lines()
                    next(lines)
                    process.send_signal(number)
                    for _ in lines:
                        pass
            _, complaints = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, complaints) == (0, "")
    with context.pool.connection() as connection:
        assert connection.execute("SELECT 1 FROM heartbeat").fetchone() is None
