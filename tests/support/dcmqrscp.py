"""DCMTK's dcmqrscp as a PACS that answers C-STORE, C-FIND and C-MOVE."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.ports import wait_until_listens

DCMQRSCP = "/usr/bin/dcmqrscp"
AE_TITLE = "ARCHIVE"


@contextmanager
def run_dcmqrscp(directory: Path, port: int, *, knows: tuple[str, int]) -> Iterator[None]:
    """Start it on a port with an empty database.

    Args:
        knows: AE title and port (on this machine) of the one it sends to.
    """
    database = directory / "database"
    database.mkdir(parents=True)
    title, title_port = knows
    configuration = directory / "dcmqrscp.cfg"
    configuration.write_text(
        f"""NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
ours = ({title}, 127.0.0.1, {title_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{AE_TITLE} {database} RW (500, 1024mb) ANY
AETable END
"""
    )
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([DCMQRSCP, "--config", str(configuration)], stdout=log, stderr=log)
    try:
        wait_until_listens(port, process)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)
