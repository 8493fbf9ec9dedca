"""Loopback ports nobody listens on just now, all different; and waiting until somebody does."""

import socket
import subprocess
import time


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def consecutive_free_ports(count: int) -> int:
    """The first of so many ports in a row."""
    for first in free_ports(64):
        probes = [socket.socket() for _ in range(count)]
        try:
            for offset, probe in enumerate(probes):
                probe.bind(("127.0.0.1", first + offset))
        except (OSError, OverflowError):
            continue
        else:
            return first
        finally:
            for probe in probes:
                probe.close()
    raise AssertionError("no ports in a row are free")


def wait_until_listens(port: int, process: "subprocess.Popen[bytes]", *, patience_s: float = 20) -> None:
    """Wait for a process that was just started to take connections."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args} did not start listening on port {port}")
