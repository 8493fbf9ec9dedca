"""A real Orthanc (Debian's, with its DICOMweb plugin) that only this machine's loopback reaches.

Orthanc listens on every address whatever it is told, so it runs in a network namespace of its own, and
`support.relay` carries connections there from sockets that listen on 127.0.0.1 out here.
Needs root, or user namespaces for `unshare --map-root-user`.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.relay import start

from services.archive_settings import Destination

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
AE_TITLE = "ORTHANC"
INSIDE_HTTP, INSIDE_DICOM, INSIDE_CALLS = 8042, 4242, 11112


@dataclass(frozen=True)
class Orthanc:
    """Addresses of the running server, and what tests ask it."""

    url: str
    port: int

    @property
    def dicom(self) -> Destination:
        return Destination(name="pacs", ae_title=AE_TITLE, host="127.0.0.1", port=self.port, timeout_s=20)

    @property
    def committing(self) -> Destination:
        return self.dicom.model_copy(update={"commitment": True})

    @property
    def rest(self) -> Destination:
        return Destination(name="orthanc", kind="orthanc", url=self.url, timeout_s=20)

    @property
    def stow(self) -> Destination:
        return Destination(name="archive", kind="stow", url=f"{self.url}/dicom-web", timeout_s=20)

    def find(self, **query: str) -> list[str]:
        """Orthanc's identifiers of the instances that match, by POST /tools/find."""
        answer = httpx.post(f"{self.url}/tools/find", json={"Level": "Instance", "Query": query}, timeout=20)
        found: list[str] = answer.raise_for_status().json()
        return found

    def qido(self, **query: str) -> list[dict[str, Any]]:
        """Instances that match, by QIDO-RS."""
        answer = httpx.get(f"{self.url}/dicom-web/instances", params=query, timeout=20)
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found

    def file(self, identifier: str) -> bytes:
        return httpx.get(f"{self.url}/instances/{identifier}/file", timeout=20).raise_for_status().content

    def clear(self) -> None:
        for study in httpx.get(f"{self.url}/studies", timeout=20).json():
            httpx.delete(f"{self.url}/studies/{study}", timeout=20).raise_for_status()


@pytest.fixture(scope="session")
def orthanc_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with run_orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture
def orthanc(orthanc_server: Orthanc) -> Orthanc:
    """The session's Orthanc, empty."""
    orthanc_server.clear()
    return orthanc_server


@contextmanager
def run_orthanc(
    directory: Path,
    *,
    users: dict[str, str] | None = None,
    configuration: dict[str, Any] | None = None,
    calls: dict[str, int] | None = None,
) -> Iterator[Orthanc]:
    """Start an Orthanc that keeps its files in `directory`; with `users` it asks for a login.

    Args:
        configuration: laid over what tests need; ports and places stay as they are.
        calls: ports of AEs out here that it may call, by their titles.
    """
    ways = {title: (INSIDE_CALLS + place, port) for place, (title, port) in enumerate((calls or {}).items())}
    content = {
        "StorageDirectory": str(directory / "storage"),
        "IndexDirectory": str(directory / "storage"),
        "Plugins": [PLUGIN],
        "DicomAet": AE_TITLE,
        "DicomPort": INSIDE_DICOM,
        "HttpPort": INSIDE_HTTP,
        "AuthenticationEnabled": users is not None,
        "RegisteredUsers": users or {},
        "DicomWeb": {"Enable": True},
        "DicomModalities": {
            title: {"AET": title, "Host": "127.0.0.1", "Port": inside, "AllowStorageCommitment": True}
            for title, (inside, _) in ways.items()
        },
    }
    places = {name: content[name] for name in ("StorageDirectory", "IndexDirectory", "Plugins")}
    path = directory / "orthanc.json"
    path.write_text(json.dumps({**content, **(configuration or {}), **places}))
    with ExitStack() as stack:
        http, dicom = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
        isolate = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
        relayed = [f"{http.fileno()}={INSIDE_HTTP}", f"{dicom.fileno()}={INSIDE_DICOM}"]
        relayed += [f"{inside}:{_way_out(directory / title, port)}" for title, (inside, port) in ways.items()]
        relay = [sys.executable, str(Path(__file__).with_name("relay.py")), *relayed]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                [*isolate, *relay, "--", "/usr/sbin/Orthanc", str(path)],
                pass_fds=[http.fileno(), dicom.fileno()],
                stdout=log,
                stderr=log,
            )
        server = Orthanc(f"http://127.0.0.1:{http.getsockname()[1]}", dicom.getsockname()[1])
    try:
        _wait(server, process, directory / "log")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=20)


def _way_out(path: Path, port: int) -> Path:
    """A Unix socket whose connections go to a port of this machine's loopback."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    start(listener, ("127.0.0.1", port))
    return path


def _wait(server: Orthanc, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            httpx.get(f"{server.url}/system", timeout=2)
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"Orthanc did not start:\n{log.read_text()[-2000:]}")
