"""What processes take: CPU seconds and memory by part, from /proc."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from services.processes import cpu_s, family

_MEMORY_EVERY = 5


class Watch:
    """Samples groups of processes every second until the `with` ends.

    Args:
        roots: by name, the process ids whose families (they and all that descends from them) are counted together;
            asked anew at each sample.
    """

    def __init__(self, roots: Callable[[], Mapping[str, int]]) -> None:
        self._roots = roots
        self._cpu_s: dict[str, dict[int, float]] = {}
        self._peak_mib: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resources", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds by name since the processes began; those of ended processes as they were last seen."""
        self._sample_cpu()
        return {name: sum(by_pid.values()) for name, by_pid in self._cpu_s.items()}

    def peak_mib(self) -> dict[str, float]:
        """The most memory a family held at once, proportional shares (PSS), MiB."""
        return dict(self._peak_mib)

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(1.0):
            self._sample_cpu()
            if number % _MEMORY_EVERY == 0:
                self._sample_memory()
            number += 1

    def _sample_cpu(self) -> None:
        for name, root in self._roots().items():
            seen = self._cpu_s.setdefault(name, {})
            for pid in family(root):
                if (taken := cpu_s(pid)) is not None:
                    seen[pid] = taken

    def _sample_memory(self) -> None:
        for name, root in self._roots().items():
            total = sum(map(_pss_mib, family(root)))
            self._peak_mib[name] = max(total, self._peak_mib.get(name, 0.0))


def _pss_mib(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
