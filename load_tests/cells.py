"""A network of cells on one machine: each part in a network namespace of its own, on a bridge that can be cut.

The bench itself runs in a namespace without any way out (`python -m load_tests` sees to it), so nothing of this is
reachable from anywhere, and everything is gone when it ends.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

IP, NSENTER = "/usr/sbin/ip", "/usr/bin/nsenter"
HERE = "10.77.0.1"
_BRIDGE = "nightjar"


class Cells:
    """Namespaces by name, for as long as the `with` lasts."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Cells":
        _run(IP, "link", "add", _BRIDGE, "type", "bridge")
        _run(IP, "addr", "add", f"{HERE}/24", "dev", _BRIDGE)
        _run(IP, "link", "set", _BRIDGE, "up")
        for number, name in enumerate(self._names):
            # It holds the namespace open, and ends with this process however that ends.
            holder = subprocess.Popen(
                ["/usr/bin/unshare", "--net", "/usr/bin/tail", f"--pid={os.getpid()}", "-f", "/dev/null"]
            )
            self._stack.callback(holder.wait)
            self._stack.callback(holder.kill)
            self._holders[name] = holder
            self._connect(name, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        _run(IP, "link", "del", _BRIDGE)

    def address(self, name: str) -> str:
        return f"10.77.0.{10 + self._names.index(name)}"

    def enter(self, name: str) -> list[str]:
        """What stands before a command that is to run in a cell; the process keeps its id."""
        return [NSENTER, f"--net=/proc/{self._holders[name].pid}/ns/net"]

    def cut(self, name: str) -> None:
        """Nothing reaches the cell any more, and nothing leaves it; no one is told."""
        _run(IP, "link", "set", self._link(name), "down")

    def heal(self, name: str) -> None:
        _run(IP, "link", "set", self._link(name), "up")

    def _link(self, name: str) -> str:
        return f"cell{self._names.index(name)}"

    def _connect(self, name: str, number: int) -> None:
        pid = self._holders[name].pid
        while Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            time.sleep(0.01)  # unshare has not come to it yet
        _run(IP, "link", "add", f"cell{number}", "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        _run(IP, "link", "set", f"cell{number}", "master", _BRIDGE, "up")
        for command in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{self.address(name)}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            _run(*self.enter(name), IP, *command)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
