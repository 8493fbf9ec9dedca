"""The ledger's figures on a real ledger: right, cheap to repeat, and silent about patients."""

import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydicom.uid import ExplicitVRLittleEndian
from support.instances import ct, encoded
from support.ports import free_ports
from support.triage import (
    add_analysis,
    add_study,
    end_study,
    finish_analysis,
    park_delivery,
    run_analysis,
    say_inference_lives,
)

from dicom_router.persist import persist
from services.archive_settings import Destination
from services.context import Context
from services.errors import Reject
from services.ledger import deliveries
from services.ledger.intake import Sender, close_association
from services.ledger.jobs import defer
from services.operations.metrics import SETTLED_S, LedgerCollector
from services.parts import PARTS

CANARY = "KANARIENVOGEL"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(collector: LedgerCollector) -> Samples:
    registry = CollectorRegistry()
    registry.register(collector)
    return samples(generate_latest(registry).decode())


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


@pytest.fixture
def site(context: Context) -> Context:
    router = context.settings.router.model_copy(update={"low_disk_mb": 7})
    destination = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104)
    changed = {"router": router, "destinations": (destination,)}
    return replace(context, settings=context.settings.model_copy(update=changed))


def serve_model(context: Context, name: str, priority: int) -> None:
    with context.pool.connection() as connection:
        connection.execute(
            """INSERT INTO model (name, version, weights_digest, roles, priority)
               VALUES (%s, '0.1.0', 'w', '{NCCT}', %s)""",
            [name, priority],
        )


def receive(context: Context, count: int, *, study: int = 1) -> Sender:
    sender = Sender(uuid4(), "SCANNER", "NIGHTJAR", "10.1.2.3:4")
    for index in range(count):
        instance = ct(index, study=study, PatientName=f"{CANARY}^ANNA", PatientID=f"{CANARY}-1", AccessionNumber=CANARY)
        persist(context, encoded(instance), ExplicitVRLittleEndian, sender)
    return sender


def test_what_waits_and_what_happened(site: Context) -> None:
    serve_model(site, "ich", 40)
    serve_model(site, "enhance", 10)
    receive(site, 1)
    collector = LedgerCollector(site, PARTS, Clock())
    before = scrape(collector)
    assert value(before, "nightjar_ledger_up") == 1
    assert value(before, "nightjar_instances_total", outcome="kept") == 0, "counting starts with the process"
    assert value(before, "nightjar_studies_ended_total", state="parked") == 0, "from nothing at all nothing increases"
    assert value(before, "nightjar_deliveries_total", destination="pacs", state="parked") == 0
    assert value(before, "nightjar_analyses_waiting", model="ich", urgency="urgent", state="queued") == 0
    assert value(before, "nightjar_analyses_oldest_seconds", model="enhance", urgency="routine") == 0
    assert value(before, "nightjar_parts_alive", part="router") == 0
    assert value(before, "nightjar_deliveries_undelivered", destination="pacs", state="parked") == 0

    sender = receive(site, 3, study=2)
    with pytest.raises(Reject):
        persist(site, b"not a data set", ExplicitVRLittleEndian, sender)
    with site.pool.connection() as connection:
        say_inference_lives(connection)
        waiting = add_study(connection, 1, minutes_ago=2)
        add_analysis(connection, waiting)
        parked = add_study(connection, 2)
        end_study(connection, parked, "parked", "The series for NCCT is incomplete.")
        done = add_analysis(connection, add_study(connection, 3))
        run_analysis(connection, done)
        finish_analysis(connection, done, {"IPH": 12.0}, urgency=1)
        park_delivery(connection, done, "pacs")
        connection.execute(
            """INSERT INTO opinion (study_uid, analysis_id, account, verdict, reason)
               SELECT study_uid, id, 'ana', 'disagree', 'known' FROM analysis WHERE id = %s""",
            [done],
        )
        defer(connection, "encode", done)
        [row] = connection.execute("SELECT id FROM delivery").fetchall()
        connection.execute("UPDATE delivery SET state = 'pending' WHERE id = %s", [row["id"]])
        deliveries.refused(connection, row["id"], "The association was refused.")
        connection.execute("UPDATE delivery SET state = 'parked' WHERE id = %s", [row["id"]])
    found = scrape(collector)
    assert value(found, "nightjar_instances_total", outcome="kept") == 3
    assert value(found, "nightjar_rejects_total", status="0xC000", reason="unreadable") == 1
    assert value(found, "nightjar_studies_unanswered", state="analysing") == 1
    assert value(found, "nightjar_studies_unanswered", state="parked") == 1
    assert value(found, "nightjar_studies_ended_total", state="parked") == 1
    assert value(found, "nightjar_studies_ended_total", state="analysed") == 1
    assert value(found, "nightjar_analyses_total", model="ich", state="analysed") == 1
    assert value(found, "nightjar_opinions_total", model="ich", verdict="disagree") == 1
    assert value(found, "nightjar_opinions_total", model="ich", verdict="agree") == 0
    assert value(found, "nightjar_analyses_waiting", model="ich", urgency="urgent", state="queued") == 1
    oldest_s = value(found, "nightjar_analyses_oldest_seconds", model="ich", urgency="urgent")
    assert oldest_s is not None
    assert 120 <= oldest_s < 600
    assert value(found, "nightjar_jobs", stage="encode", state="todo") == 1
    assert value(found, "nightjar_deliveries_undelivered", destination="pacs", state="parked") == 1
    assert value(found, "nightjar_deliveries_total", destination="pacs", state="parked") == 2
    assert value(found, "nightjar_delivery_retries_total", destination="pacs") == 1
    assert value(found, "nightjar_associations_open") == 2
    assert value(found, "nightjar_parts_alive", part="inference") == 1
    assert value(found, "nightjar_inference_healthy") == 1
    assert value(found, "nightjar_disk_watermark_bytes") == 7_000_000
    assert (value(found, "nightjar_disk_free_bytes") or 0) > 0
    with site.pool.connection() as connection:
        close_association(connection, sender.association_id, "released", site.now())
    assert value(scrape(collector), "nightjar_associations_open") == 1


def test_from_the_last_instance_to_the_answer_by_model(site: Context) -> None:
    receive(site, 2)
    collector = LedgerCollector(site, PARTS, Clock())
    with site.pool.connection() as connection:
        [series] = connection.execute("SELECT series_uid, study_uid FROM series").fetchall()
        connection.execute("UPDATE instance SET received_at = clock_timestamp() - interval '4 seconds'")
        analysis = add_analysis(connection, series["study_uid"])
        connection.execute("UPDATE analysis SET inputs = jsonb_build_object('NCCT', %s::text)", [series["series_uid"]])
        run_analysis(connection, analysis)
        finish_analysis(connection, analysis, {"SDH": 20.0}, urgency=1)
    found = scrape(collector)
    name, labels = "nightjar_last_instance_to_answer_seconds", {"model": "ich", "flag": "yes"}
    assert [value(found, f"{name}_bucket", le=le, **labels) for le in ("3.0", "5.0", "+Inf")] == [0, 1, 1]
    assert value(found, f"{name}_count", **labels) == 1
    assert 4 <= (value(found, f"{name}_sum", **labels) or 0) < 5


def test_counts_stay_what_they_are_when_rows_settle(site: Context) -> None:
    clock = Clock()
    collector = LedgerCollector(site, PARTS, clock)
    for number in range(1, 6):
        receive(site, 2, study=number)
        clock.now += SETTLED_S * 0.7
        assert value(scrape(collector), "nightjar_instances_total", outcome="kept") == 2 * number


def test_a_row_that_commits_late_is_counted_once(site: Context, database_url: str) -> None:
    clock = Clock()
    collector = LedgerCollector(site, PARTS, clock)
    with psycopg.connect(database_url) as slow:
        slow.execute(
            "INSERT INTO event (entity, entity_id, kind, detail) VALUES ('study', 'x', 'state', '{\"to\": \"parked\"}')"
        )
        with site.pool.connection() as connection:
            end_study(connection, add_study(connection, 1), "parked", "Incomplete.")
        assert value(scrape(collector), "nightjar_studies_ended_total", state="parked") == 1
    for _ in range(4):
        assert value(scrape(collector), "nightjar_studies_ended_total", state="parked") == 2
        clock.now += SETTLED_S + 1


def test_no_patient_and_no_uid_is_in_any_figure(site: Context) -> None:
    serve_model(site, "ich", 40)
    collector = LedgerCollector(site, PARTS, Clock())
    sender = receive(site, 4)
    with pytest.raises(Reject):
        persist(
            site, f"{CANARY}^ANNA".encode() * 20, ExplicitVRLittleEndian, sender, sop_instance_uid="1.2.3.4.5.6.7.8"
        )
    with site.pool.connection() as connection:
        study = add_study(connection, 1, name=f"{CANARY}^ANNA", description=CANARY, accession=CANARY)
        analysis = add_analysis(connection, study)
        run_analysis(connection, analysis)
        finish_analysis(connection, analysis, {"IPH": 3.0}, urgency=1)
        park_delivery(connection, analysis, "pacs")
        end_study(connection, add_study(connection, 2, name=CANARY), "parked", f"{CANARY} is incomplete.")
    registry = CollectorRegistry()
    registry.register(collector)
    text = generate_latest(registry).decode()
    assert 'nightjar_instances_total{outcome="kept"} 4.0' in text
    assert CANARY not in text
    assert not re.search(r"\d+(\.\d+){4,}", text), "a UID"
    assert "10.1.2.3" not in text


def test_without_a_ledger_the_rest_is_still_said(site: Context, database_url: str, postgres: str) -> None:
    collector = LedgerCollector(site, PARTS, Clock())
    site.pool.close()
    found = scrape(collector)
    assert value(found, "nightjar_ledger_up") == 0
    assert (value(found, "nightjar_disk_free_bytes") or 0) > 0
    assert value(found, "nightjar_associations_open") is None


def test_parts_serve_their_figures_and_end_when_asked(site: Context, tmp_path: Path, database_url: str) -> None:
    parts = ("router", "worker", "web", "metrics")
    ports = dict(zip((*parts, "dicom", "pages"), free_ports(6), strict=True))
    config = tmp_path / "site.yaml"
    content = {
        "data_dir": str(tmp_path / "data"),
        "database": {"url": database_url},
        "router": {"port": ports["dicom"]},
        "web": {"port": ports["pages"]},
    }
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    processes = {
        part: subprocess.Popen(
            [sys.executable, "-m", "services.cli", part, "--config", str(config)],
            env={"PATH": "/usr/bin:/bin", "NIGHTJAR_METRICS__PORT": str(ports[part])},
        )
        for part in parts
    }
    try:
        for part in parts:
            wait_until_ready(ports[part], processes[part])
            text = fetch(ports[part], "/metrics")
            assert "process_resident_memory_bytes" in text
            assert ("nightjar_ledger_up 1.0" in text) == (part == "metrics")
        assert subprocess.run(["/usr/bin/echoscu", "127.0.0.1", str(ports["dicom"])], check=False).returncode == 0
        assert 'nightjar_parts_alive{part="router"} 1.0' in fetch(ports["metrics"], "/metrics")
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
    assert {part: process.wait(60) for part, process in processes.items()} == dict.fromkeys(parts, 0)


def fetch(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return str(answer.read().decode())


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None
        try:
            fetch(port, "/readyz")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError("it did not become ready")
