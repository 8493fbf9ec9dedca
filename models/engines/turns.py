"""Whose turn the processor or the GPU is: between two calls of its network a request makes way for more urgent ones.

The requests of one machine see each other through files in one folder, each locked by the process that runs it. The
kernel lets a lock go when its holder dies, so nobody waits for the dead.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

POLL_S = 0.004
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")

_here: ContextVar["Turn | None"] = ContextVar("turn", default=None)


@dataclass(frozen=True)
class Turns:
    """A processor or GPU that several requests want.

    Attributes:
        folder: where its requests lie, the same for all processes that share it.
        room: CPU threads it has, or 1 for a GPU.
        patience_s: how long a request makes way for others in all; then it goes on, so that nothing starves.
    """

    folder: Path
    room: int
    patience_s: float

    @contextmanager
    def take(self, priority: int, needs: int) -> Iterator["Turn"]:
        """Stand in the row for as long as the `with` lasts; `step_aside` in this thread then knows this request.

        Args:
            priority: larger is more urgent; of two alike the earlier goes first.
            needs: CPU threads, or 1 of a GPU.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Seen only now that it is locked: an unlocked one belongs to nobody and is swept away.
            place = _Place(priority, time.time_ns(), needs)
            path = Path(file.name).rename(self.folder / f"{place.words},{Path(file.name).name.lstrip('.')}")
            turn = Turn(self, place, path.name)
            token = _here.set(turn)
            try:
                yield turn
            finally:
                _here.reset(token)
                path.unlink(missing_ok=True)

    def before(self, place: "_Place", own: str) -> int:
        """What the living requests before one need."""
        needs = 0
        for name in (path.name for path in self.folder.iterdir()):
            if name == own or name.startswith("."):
                continue
            other = _Place.read(name)
            if other.rank < place.rank and _held(self.folder / name):
                needs += other.needs
        return needs


@dataclass(frozen=True)
class _Place:
    """A request's place in the row; its file is called so."""

    priority: int
    since_ns: int
    needs: int

    @classmethod
    def read(cls, name: str) -> "_Place":
        priority, since_ns, needs = (int(word) for word in name.split(",")[:3])
        return cls(priority, since_ns, needs)

    @property
    def words(self) -> str:
        return f"{self.priority},{self.since_ns},{self.needs}"

    @property
    def rank(self) -> tuple[int, int]:
        """Smaller goes first."""
        return (-self.priority, self.since_ns)


@dataclass
class Turn:
    """One request's.

    Attributes:
        waited_s: how long it has made way for others.
    """

    turns: Turns
    place: _Place
    name: str
    waited_s: float = 0.0
    _clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def crowded(self) -> bool:
        """Whether the more urgent ones leave this one no room."""
        return self.place.needs + self.turns.before(self.place, self.name) > max(self.turns.room, self.place.needs)

    def step_aside(self) -> None:
        """Return once there is room beside the more urgent ones, or patience is at its end."""
        started = None
        while self.crowded():
            now = self._clock()
            started = now if started is None else started
            if self.waited_s + now - started > self.turns.patience_s:
                break
            time.sleep(POLL_S)
        if started is not None:
            self.waited_s += self._clock() - started


def step_aside() -> None:
    """Let more urgent requests go first, where this thread answers one that has a turn."""
    turn = _here.get()
    if turn is not None:
        turn.step_aside()


def processor(patience_s: float) -> Turns:
    """The processor of this machine, or this container's share of it."""
    return Turns(_folder("cpu"), _cpus(), patience_s)


def gpu(patience_s: float) -> Turns:
    """The GPU that this process may use."""
    return Turns(_folder(f"gpu-{os.environ.get('CUDA_VISIBLE_DEVICES', '')}"), 1, patience_s)


def _folder(device: str) -> Path:
    return Path(tempfile.gettempdir()) / f"nightjar-turns-{os.getuid()}" / device


def _cpus() -> int:
    cpus = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        cpus = min(cpus, max(1, int(quota) // int(period)))
    return cpus


def _held(path: Path) -> bool:
    """Whether a living process holds the file; one that nobody holds is swept away."""
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    return False
