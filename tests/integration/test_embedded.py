"""Embedded mode as a site runs it: `nightjar serve` with every part, one Ray start for the whole module."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from support.ports import consecutive_free_ports, free_ports

from services.parts import EVERY_PART

pytestmark = pytest.mark.timeout(400)

TOKEN = "EMBEDDED_TEST_TOKEN"
READY_S = 240.0
PATIENCE_S = 60.0


@dataclass
class Installation:
    """A folder, two free ports, and a token in the environment by which its processes are known."""

    folder: Path
    settings: dict[str, Any]
    token: str = field(default_factory=lambda: uuid4().hex)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def config(self) -> Path:
        path = self.folder / "site.yaml"
        path.write_text(yaml.safe_dump(self.settings), encoding="utf-8")
        return path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTJAR_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", *arguments, "--config", str(self.config)],
            cwd=self.folder,
            env={**environment, TOKEN: self.token},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def status(self) -> dict[str, Any]:
        process = self.start("status", "--json")
        said, wrong = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, wrong
        answer: dict[str, Any] = json.loads(said)
        return answer

    def answers(self) -> bool:
        """Whether the ledger does."""
        process = self.start("status", "--json")
        process.communicate(timeout=PATIENCE_S)
        return process.returncode == 0

    def processes(self) -> dict[int, list[str]]:
        """Arguments of everything that was started and still runs, by process id."""
        mark, found = f"{TOKEN}={self.token}".encode(), {}
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and mark in (process / "environ").read_bytes().split(b"\0"):
                    found[int(process.name)] = (process / "cmdline").read_text().split("\0")
            except OSError:  # it ended meanwhile
                continue
        return found

    def pid(self, part: str) -> int | None:
        command = ["-m", "services.cli", part]
        return next((pid for pid, arguments in self.processes().items() if arguments[1:4] == command), None)


def until(reached: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.2)


@contextmanager
def installation(folder: Path) -> Iterator[Installation]:
    router, web = free_ports(2)
    settings = {
        "data_dir": str(folder / "data"),
        "router": {"port": router},
        "web": {"port": web},
        "metrics": {"port": consecutive_free_ports(len(EVERY_PART))},
    }
    installation = Installation(folder, settings)
    yield installation
    for pid in installation.processes():  # only what a failed test left behind
        os.kill(pid, signal.SIGKILL)
    for process in installation.started:
        process.communicate()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path) as site:
        yield site


def test_the_whole_service_starts_survives_a_dead_worker_and_leaves_nothing(site: Installation) -> None:
    process = site.start("serve")
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Prioritisation only"):
            break
    assert len(said) == 4, (said, process.stderr and process.stderr.read())
    assert said[0] == f"DICOM   NIGHTJAR@127.0.0.1:{site.settings['router']['port']}\n"

    status = site.status()
    assert status["parts"] == {"inference": 1, "router": 1, "web": 1, "worker": 1}
    loaded = {model["name"]: model["loaded"] for model in status["models"]}
    assert loaded == dict.fromkeys(("ich", "ais", "tumour", "enhance"), True)

    figures = {}
    for offset, part in enumerate(EVERY_PART):
        base = f"http://127.0.0.1:{site.settings['metrics']['port'] + offset}"
        with urllib.request.urlopen(f"{base}/readyz", timeout=PATIENCE_S) as answer:
            assert answer.read() == b"ok\n", part
        with urllib.request.urlopen(f"{base}/metrics", timeout=PATIENCE_S) as answer:
            figures[part] = answer.read().decode()
    assert "nightjar_inference_healthy 1.0" in figures["metrics"]
    assert "nightjar_listener_associations 0.0" in figures["router"]

    # Serve's replicas take calls of other deployments on every address; Ray has no setting for it.
    assert {owner for owner in _reachable_from_elsewhere(site).values() if "ServeReplica" not in owner} == set()

    killed = site.pid("worker")
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    until(lambda: site.pid("worker") not in (None, killed))
    until(lambda: site.status()["parts"].get("worker"))

    # One that hangs holds its connections and says nothing.
    hanging = site.pid("worker")
    assert hanging is not None
    os.kill(hanging, signal.SIGSTOP)
    until(lambda: site.pid("worker") not in (None, hanging))

    postmaster = int((site.folder / "data/postgres/postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGKILL)
    until(lambda: site.answers() and len(site.status()["parts"]) == 4, READY_S)

    # The hardest end: the part that holds Ray dies unasked, and a service manager's stop comes before it is back.
    inference = site.pid("inference")
    assert inference is not None
    os.kill(inference, signal.SIGKILL)
    os.kill(process.pid, signal.SIGTERM)
    _, wrong = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, wrong
    assert "Traceback" not in wrong
    until(lambda: site.processes() == {}, 10)


def _reachable_from_elsewhere(site: Installation) -> dict[str, str]:
    """Sockets of the service that listen on more than this machine's loopback, and whose they are."""
    owners = {}
    for pid, arguments in site.processes().items():
        try:
            links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        owners.update({link[8:-1]: arguments[0] for link in links if link.startswith("socket:[")})
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            local, state, inode = fields[1], fields[3], fields[9]
            loopback = local.split(":")[0] in ("0100007F", "0000000000000000FFFF00000100007F", f"{1 << 24:032X}")
            if state == "0A" and inode in owners and not loopback:
                found[local] = owners[inode]
    return found


def refused(site: Installation) -> str:
    """What `nightjar serve` says when it refuses to start; one line, exit status 2, nothing left."""
    process = site.start("serve")
    said, wrong = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2, (said, wrong)
    assert said == ""
    assert site.processes() == {}
    [line] = wrong.splitlines()
    return line


@pytest.mark.parametrize("part", ["router", "web"])
def test_a_port_in_use_names_the_setting_and_its_value(site: Installation, part: str) -> None:
    port = site.settings[part]["port"]
    with socket.create_server(("127.0.0.1", port)):
        assert refused(site).startswith(f"{part}.port = {port}: cannot listen on 127.0.0.1:{port}: ")


@pytest.mark.parametrize(("setting", "section"), [("data_dir", None), ("storage.path", "storage")])
def test_a_folder_that_cannot_be_written_names_the_setting(
    site: Installation, setting: str, section: str | None
) -> None:
    file = site.folder / "file"
    file.touch()
    if section is None:
        site.settings["data_dir"] = str(file / "data")
    else:
        site.settings["storage"] = {"path": str(file / "store")}
    line = refused(site)
    assert line.startswith(f"{setting} = {file}/")
    assert "Not a directory" in line


def test_a_part_that_refuses_its_settings_ends_the_service_with_its_sentence(site: Installation) -> None:
    site.settings["inference"] = {"models": ["mri"]}
    line = refused(site)
    assert line.startswith("inference.models = mri: no such model; there are ")
