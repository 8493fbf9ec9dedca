"""DCMTK's storescp as a receiver that is not ours; Debian's, not the one pynetdicom puts into the environment."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.ports import free_ports, wait_until_listens

STORESCP = "/usr/bin/storescp"


@contextmanager
def run_storescp(directory: Path, *, port: int | None = None, options: tuple[str, ...] = ()) -> Iterator[int]:
    """Start it with its files in `directory` as received; gives the port. It listens on every address meanwhile."""
    port = free_ports(1)[0] if port is None else port
    process = subprocess.Popen(
        [STORESCP, "--bit-preserving", "--output-directory", str(directory), *options, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_listens(port, process)
        yield port
    finally:
        process.kill()
        process.wait()
