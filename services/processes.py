"""Processes of this machine: who runs this one, and from /proc their families and the CPU they took."""

import os
from getpass import getuser
from pathlib import Path

_TICKS_A_S = os.sysconf("SC_CLK_TCK")


def user_name() -> str:
    """Who runs this process; by number where users have no names, as in an image."""
    try:
        return getuser()
    except (KeyError, OSError):  # the first until Python 3.12
        return f"uid {os.getuid()}"


def family(root: int) -> list[int]:
    """A process and all its living descendants, itself first."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and (fields := _stat(int(process.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(process.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def replicas(root: int, application: str) -> list[int]:
    """Replicas of one application of Ray Serve in the family of a process; Ray titles their processes so."""
    return [pid for pid in family(root) if f"ServeReplica:{application}:".encode() in _title(pid)]


def cpu_s(pid: int) -> float | None:
    """CPU seconds of one process; None once it is gone."""
    fields = _stat(pid)
    return None if fields is None else (int(fields[11]) + int(fields[12])) / _TICKS_A_S


def machine_busy_s() -> float:
    """CPU seconds this machine has spent on anything since it started."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = (int(field) for field in fields[:8])
    return (user + nice + system + irq + softirq + steal) / _TICKS_A_S


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on (proc(5)): 1 is the parent, 11 and 12 are user and system time."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
