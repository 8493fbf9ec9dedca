"""A patient whose name must appear nowhere but in the database, the DICOM and pages that people signed in to see.

Router, worker, web and metrics run as processes, as in a cluster, with logs as JSON and traces on; studies with the
name in every field that holds text come by C-STORE, one of them unreadable; then everything that left is searched.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.instances import ct, write
from support.ports import free_ports
from support.triage import PASSWORD, add_account

from services.context import Context
from services.ledger.images import key_of

pytestmark = pytest.mark.timeout(900)

CANARY = "KANARIENVOGEL"
PARTS = ("router", "worker", "web", "metrics")
HEADERS = {
    "PatientName": f"{CANARY}^ANNA",
    "PatientID": CANARY,
    "OtherPatientIDs": CANARY,
    "AccessionNumber": CANARY,
    "StudyID": CANARY,
    "ReferringPhysicianName": CANARY,
    "PatientComments": CANARY,
}


class Collector:
    """An OpenTelemetry collector that keeps what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.bodies.append(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def spans(self) -> list[Span]:
        read = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            s for one in read for resource in one.resource_spans for scope in resource.scope_spans for s in scope.spans
        ]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@contextmanager
def running(config: Path, folder: Path, ports: dict[str, int]) -> Iterator[None]:
    processes = {}
    for part in PARTS:
        with (folder / f"{part}.log").open("wb") as log:
            processes[part] = subprocess.Popen(
                [sys.executable, "-m", "services.cli", part, "--config", str(config)],
                env={"PATH": "/usr/bin:/bin", "NIGHTJAR_METRICS__PORT": str(ports[part])},
                stdout=log,
                stderr=log,
            )
    try:
        for part in PARTS:
            until(lambda part=part: _ready(ports[part]) or processes[part].poll() is not None)  # type: ignore[misc]
            assert processes[part].poll() is None, (folder / f"{part}.log").read_text()
        yield
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        ended = {part: process.wait(120) for part, process in processes.items()}
    assert ended == dict.fromkeys(PARTS, 0)


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def until(reached: Callable[[], object]) -> None:
    for _ in range(1800):
        if reached():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


def test_the_canary_is_nowhere_but_where_it_belongs(context: Context, database_url: str, tmp_path: Path) -> None:
    add_account(context, "ana")
    collector = Collector()
    ports = dict(zip((*PARTS, "dicom", "pages", "nobody"), free_ports(7), strict=True))
    config = tmp_path / "site.yaml"
    destination = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": ports["nobody"]}
    settings = {
        "data_dir": str(tmp_path / "data"),
        "database": {"url": database_url},
        "router": {"port": ports["dicom"], "fallback_s": 1.0, "idle_s": 0.5, "low_disk_mb": 0},
        "web": {"port": ports["pages"]},
        "destinations": [destination],
        "logging": {"format": "json"},
        "tracing": {"endpoint": collector.url},
    }
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    belly = {"BodyPartExamined": "ABDOMEN", "StudyDescription": "Abdomen", "SeriesDescription": "Abdomen 5.0"}
    whole = [write(ct(k, **belly, **HEADERS), tmp_path / f"whole-{k}.dcm") for k in range(6)]
    gap = [write(ct(k, study=2, **HEADERS), tmp_path / f"gap-{k}.dcm") for k in (0, 1, 4)]
    odd = write(ct(0, study=3, **HEADERS, StudyInstanceUID=None), tmp_path / "odd.dcm")
    answers: list[str] = []
    with running(config, tmp_path, ports):
        send = ["/usr/bin/storescu", "-aec", "NIGHTJAR", "127.0.0.1", str(ports["dicom"])]
        for files in (whole, gap, [odd]):
            subprocess.run([*send, *map(str, files)], check=False, timeout=120, env=os.environ | {"TCP_NODELAY": "1"})
        until(lambda: len(_ended(context)) == 2)
        with httpx.Client(base_url=f"http://127.0.0.1:{ports['pages']}", follow_redirects=True) as browser:
            own = {"Origin": str(browser.base_url)}
            browser.post("/sign-in", data={"name": "ana", "password": PASSWORD}, headers=own)
            worklist = browser.get("/")
            assert CANARY in worklist.text, "people who are signed in see whom it is about"
            pages = [worklist, *(browser.get(f"/studies/{key_of(uid)}") for uid in _ended(context))]
            assert all(page.status_code == 200 for page in pages)
            for page in pages:
                answers += [str(page.url), *re.findall(r'(?:href|src|action|data-[a-z-]+)="([^"]*)"', page.text)]
        figures = {part: httpx.get(f"http://127.0.0.1:{ports[part]}/metrics", timeout=30).text for part in PARTS}
    collector.close()

    logs = {part: (tmp_path / f"{part}.log").read_text(encoding="utf-8") for part in PARTS}
    for name, text in {**logs, **figures}.items():
        assert CANARY not in text, name
    assert not [url for url in answers if CANARY in urllib.parse.unquote(url)]
    assert not [body for body in collector.bodies if CANARY.encode() in body]
    kept = {tmp_path / "data" / "store", tmp_path / "data" / "postgres"}
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file() and not kept & set(path.parents):
            assert CANARY.encode() not in path.read_bytes(), path

    with context.pool.connection() as connection:
        rows = connection.execute("SELECT study_uid, pseudonym::text FROM study").fetchall()
    pseudonyms = {row["pseudonym"].replace("-", "") for row in rows}
    assert {span.trace_id.hex() for span in collector.spans()} == pseudonyms
    assert {"assemble", "route"} <= {span.name for span in collector.spans()}
    assert not any(row["study_uid"].encode() in body for row in rows for body in collector.bodies)
    lines = [json.loads(line) for line in logs["router"].splitlines()]
    assert any("quarantined" in line["message"] for line in lines)


def _ended(context: Context) -> list[str]:
    with context.pool.connection() as connection:
        rows = connection.execute(
            "SELECT study_uid FROM study WHERE state NOT IN ('receiving', 'analysing')"
        ).fetchall()
    return [row["study_uid"] for row in rows]
