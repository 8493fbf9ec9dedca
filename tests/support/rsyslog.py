"""rsyslog as an audit record repository that is not ours: what it took, line by line."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.ports import free_ports, wait_until_listens

RSYSLOGD = "/usr/sbin/rsyslogd"


@contextmanager
def run_rsyslog(folder: Path, *, port: int | None = None, tls: tuple[Path, Path] | None = None) -> Iterator[int]:
    """Start it on loopback with its messages in `folder`/messages as received; `tls` is its certificate and key."""
    port = free_ports(1)[0] if port is None else port
    stream = ""
    if tls is not None:
        certificate, key = tls
        stream = 'StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"'
        paths = f'DefaultNetstreamDriverCAFile="{certificate}" DefaultNetstreamDriverCertFile="{certificate}"'
        stream_global = f'global({paths} DefaultNetstreamDriverKeyFile="{key}")\n'
    else:
        stream_global = ""
    configuration = folder / "rsyslog.conf"
    configuration.write_text(
        f'global(workDirectory="{folder}" maxMessageSize="64k")\n{stream_global}'
        f'module(load="imtcp" {stream})\n'
        'template(name="whole" type="string" string="%rawmsg%\\n")\n'
        'ruleset(name="keep") { action(type="omfile" file="' + str(folder / "messages") + '" template="whole") }\n'
        f'input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="keep")\n',
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [RSYSLOGD, "-n", "-f", str(configuration), "-i", str(folder / f"pid-{port}")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_listens(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def messages(folder: Path) -> list[str]:
    """What it has taken by now."""
    path = folder / "messages"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
