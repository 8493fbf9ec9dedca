"""The main job, end to end: `python -m services.demonstration` as a person runs it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydicom import dcmread
from support.ports import free_ports

from services.datasets.release.checking import check_release
from services.demonstration.phantom import write_phantoms
from services.demonstration.plan import DEMONSTRATION

pytestmark = pytest.mark.timeout(900)

DCIODVFY = Path(sys.executable).with_name("dciodvfy")
DSRDUMP = "/usr/bin/dsrdump"
TOKEN = "DEMONSTRATION_TOKEN"


@dataclass
class Demonstration:
    """A demonstration in a session of its own; its processes are known by a token in their environment."""

    folder: Path
    router_port: int
    web_port: int
    token: str

    @property
    def out(self) -> Path:
        return self.folder / "demo-out"

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "services.demonstration", "--out", str(self.out)],
            cwd=self.folder,
            env={
                **os.environ,
                "NIGHTJAR_ROUTER__PORT": str(self.router_port),
                "NIGHTJAR_WEB__PORT": str(self.web_port),
                TOKEN: self.token,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def summary(self) -> list[dict[str, Any]]:
        return json.loads((self.out / "summary.json").read_text())["studies"]

    def postgres_said(self) -> str:
        path = self.out / "service" / "postgres" / "log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def processes(self) -> list[str]:
        """Command lines of everything that was started and still runs."""
        mark, found = f"{TOKEN}={self.token}".encode(), []
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:  # it ended meanwhile
                continue
        return found

    def assert_nothing_runs(self) -> None:
        deadline = time.monotonic() + 10
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.processes() == []


@pytest.fixture
def demonstration(tmp_path: Path) -> Iterator[Demonstration]:
    demonstration = Demonstration(tmp_path, *free_ports(2), uuid4().hex)
    yield demonstration
    for process in Path("/proc").iterdir():  # only what a failed test left behind
        try:
            if process.name.isdigit() and demonstration.token.encode() in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue


def _assert_valid(out: Path, study: dict[str, Any]) -> None:
    # Of a derived series one image is as good as another.
    names = [*(("seg", name) for name in study["seg"]), *(("sr", name) for name in study["sr"])]
    for kind, name in [*names, *(("mr", name) for name in study["mr"][:1])]:
        path = out / name
        assert dcmread(path).StudyInstanceUID == study["study_uid"]
        # Both tools print text in the character set of the object, so their output is bytes here.
        checked = subprocess.run([DCIODVFY, path], capture_output=True, check=False)
        assert [line for line in (checked.stdout + checked.stderr).splitlines() if line.startswith(b"Error")] == []
        if kind == "sr":
            dumped = subprocess.run([DSRDUMP, path], capture_output=True, check=False)
            assert dumped.returncode == 0, dumped.stderr


def test_every_demonstration_study_ends_as_it_should(demonstration: Demonstration):
    process = demonstration.start(ONCE="1")
    output, _ = process.communicate(timeout=800)

    assert process.returncode == 0, output + demonstration.postgres_said()
    demonstration.assert_nothing_runs()
    report = demonstration.out / "dataset" / "quality.html"
    assert f"Its quality report: {report.as_uri()}" in output
    assert "Dice of two readers by label" in report.read_text(encoding="utf-8")
    assert all(not check.problems for check in check_release(report.parent))
    studies = demonstration.summary()
    assert [(study["description"], study["state"]) for study in studies] == [
        (plan.description, plan.expected) for plan in DEMONSTRATION
    ]
    for plan, study in zip(DEMONSTRATION, studies, strict=True):
        assert study["problems"] == []
        if plan.expected == "analysed":
            chosen = {series["series_number"]: series["role"] for series in study["series"] if series["analysed"]}
            roles = {
                "stroke": {2: "DWI", 3: "ADC", 4: "FLAIR"},
                # Two models read it: the one for tumours, and the one that completes T2 and FLAIR.
                "reduced": {2: "T1", 3: "T2", 4: "FLAIR"},
                "tumour": {2: "T1", 3: "T2", 4: "FLAIR", 5: "T1c"},
            }
            assert chosen == roles.get(plan.anatomy, {2: "NCCT"})
            assert study["seconds_to_flag"] is not None
            assert study["sr"]
            assert len(study["mr"]) == (48 if plan.anatomy == "reduced" else 0)
            assert bool(study["seg"]) or not study["findings"]
        else:
            assert study["reason"]
            assert (study["seg"], study["sr"], study["findings"]) == ([], [], [])
        _assert_valid(demonstration.out, study)


def test_ones_own_study_comes_back_and_the_pages_stay_up_until_ctrl_c(demonstration: Demonstration):
    own = demonstration.folder / "own"
    write_phantoms(own, only=["iph-ivh"], matrix=256)
    process = demonstration.start(DICOM=str(own))
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Ctrl-C"):
            break

    output = "".join(said)
    assert "Sign in" in output, output
    page = httpx.get(f"http://127.0.0.1:{demonstration.web_port}/", follow_redirects=True)
    assert page.status_code == 200
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 0
    demonstration.assert_nothing_runs()
    [study] = demonstration.summary()
    assert study["state"] == "analysed"
    assert study["problems"] == []
    _assert_valid(demonstration.out, study)


@pytest.mark.parametrize("setting", ["router.port", "web.port"])
def test_a_port_in_use_is_one_line_and_exit_status_2(demonstration: Demonstration, setting: str):
    port = demonstration.router_port if setting == "router.port" else demonstration.web_port
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        process = demonstration.start(ONCE="1")
        output, _ = process.communicate(timeout=120)

    assert process.returncode == 2, output
    assert f"{setting} = {port}" in output.splitlines()[-1]
    assert "Traceback" not in output
    demonstration.assert_nothing_runs()
