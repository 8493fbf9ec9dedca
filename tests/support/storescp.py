"""DCMTK's storescp as a receiver that is not ours; Debian's, not the one pynetdicom puts into the environment."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STORESCP = "/usr/bin/storescp"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def run_storescp(directory: Path, *, port: int | None = None, options: tuple[str, ...] = ()) -> Iterator[int]:
    """Start it with its files in `directory` as received; gives the port. It listens on every address meanwhile."""
    port = free_port() if port is None else port
    process = subprocess.Popen(
        [STORESCP, "--bit-preserving", "--output-directory", str(directory), *options, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(port, process)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("storescp did not start")
