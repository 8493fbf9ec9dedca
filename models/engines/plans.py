"""TensorRT plans kept on disk: building one takes minutes, and every replica of a model wants the same.

A plan belongs to one file of weights, one version of the library, one kind of GPU, one precision and one profile of
shapes; another of any of these is another file. A file that was cut short or changed is built anew. What the library
measured while it built, its timing cache, lies beside them, for one version of it and one kind of GPU.
"""

import fcntl
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.engines import Terms
from models.errors import InvalidCard, UnwritableOutput

logger = logging.getLogger(__name__)

Shape = tuple[int, ...]
Shapes = Mapping[str, tuple[int | None, ...]]
"""By the network's inputs or outputs; None where an axis is free."""
Tell = Callable[[str, float], None]
"""Takes the name of what is being done and how far it is, 0 to 1."""


@dataclass(frozen=True)
class Profile:
    """The shapes that one input may have: smallest, usual and largest."""

    smallest: Shape
    usual: Shape
    largest: Shape


@dataclass(frozen=True)
class PlanKey:
    """What a plan depends on.

    Attributes:
        weights_digest: SHA-256 of the ONNX file.
        library: name and version, such as "tensorrt_rtx 1.3.0".
        capability: CUDA compute capability, such as "8.9".
        precision: "fp32" or "fp16".
        profiles: by name of the network's input.
    """

    weights_digest: str
    library: str
    capability: str
    precision: str
    profiles: Mapping[str, Profile]

    @property
    def words(self) -> str:
        """All of it in one line, the same for the same."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def file_name(self) -> str:
        digest = hashlib.sha256(self.words.encode()).hexdigest()
        return f"{self.weights_digest[:12]}-{self.capability}-{digest[:16]}.plan"

    @property
    def timings(self) -> "PlanKey":
        """What a timing cache depends on: the same for all networks."""
        return PlanKey("", self.library, self.capability, "", {})


@dataclass(frozen=True)
class Build:
    """A plan that lies in a folder, or that somebody is building there.

    Attributes:
        weights_digest, library, capability, precision: as in its key.
        seconds: that it took, or has taken so far.
        phase, share: what is being done, and how far that is (0 to 1); None: it is built.
    """

    weights_digest: str
    library: str
    capability: str
    precision: str
    seconds: float
    phase: str | None = None
    share: float | None = None


@dataclass(frozen=True)
class PlanCache:
    """A folder of plans, shared by processes and, where its file system locks files, by machines."""

    folder: Path

    def get(self, key: PlanKey, build: Callable[[Tell], bytes]) -> bytes:
        """The plan of a key, built by whoever comes first while the others wait.

        Args:
            build: is given what to tell of its progress; others see it in `builds`.

        Raises:
            UnwritableOutput: the folder cannot be written.
        """
        path = self.folder / key.file_name
        try:
            plan = _read(path, key)
            if plan is not None:
                return plan
            self.folder.mkdir(parents=True, exist_ok=True)
            with _locked(path.with_suffix(".lock")):
                plan = _read(path, key)
                if plan is None:
                    logger.info("Building %s; this takes minutes, once for this GPU and these weights.", path.name)
                    progress = _Progress(path.with_suffix(".building"), key)
                    try:
                        plan = build(progress.tell)
                    finally:
                        progress.path.unlink(missing_ok=True)
                    _write(path, key, plan, progress.seconds)
                    logger.info("Built %s in %.0f s.", path.name, progress.seconds)
        except OSError as error:
            raise UnwritableOutput(
                f"The folder of engines {self.folder} cannot be used: {error.strerror}. See inference.engine_cache."
            ) from error
        return plan

    def timings(self, key: PlanKey) -> bytes:
        """What the library measured on this kind of GPU before; empty where it has not, or where that is damaged."""
        return _read(self._timings_path(key), key.timings) or b""

    def keep_timings(self, key: PlanKey, content: bytes) -> None:
        """Keep it for the next build; of two builds that end at once, what one measured is kept."""
        _write(self._timings_path(key), key.timings, content)

    def _timings_path(self, key: PlanKey) -> Path:
        return (self.folder / key.timings.file_name).with_suffix(".timings")

    def drop(self, key: PlanKey) -> None:
        """Forget a plan that the library does not take."""
        (self.folder / key.file_name).unlink(missing_ok=True)


def builds(folder: Path) -> list[Build]:
    """The plans of a folder and those that a living process is building, by weights; for metrics and status."""
    found = []
    for path in sorted(folder.glob("*.plan")):
        with suppress(OSError, ValueError, KeyError), path.open("rb") as file:
            words, _, seconds = (file.readline() for _ in range(3))
            found.append(_build(json.loads(words), float(seconds)))
    for path in sorted(folder.glob("*.building")):
        with suppress(OSError, ValueError, KeyError):
            said = json.loads(path.read_bytes())
            if _is_locked(path.with_suffix(".lock")):
                found.append(_build(said["key"], max(0.0, time.time() - said["since"]), said["phase"], said["share"]))
    return sorted(found, key=lambda build: build.weights_digest)


def profiles_of(shapes: Shapes, terms: Terms) -> dict[str, Profile]:
    """The shapes a network's inputs may have: from 1 to the batch in the first axis, as the card says in free ones.

    Raises:
        InvalidCard: an axis is free of which the card says nothing.
    """
    found = {}
    for name, shape in shapes.items():
        axes: list[tuple[int, int, int]] = [(1, terms.batch, terms.batch)]
        said = dict(enumerate(terms.free_axes, start=len(shape) - len(terms.free_axes)))
        for place, size in enumerate(shape[1:], start=1):
            if size is None and place not in said:
                raise InvalidCard(
                    f"The network's input {name} leaves sizes free that its card does not limit (free_axes)."
                )
            axes.append(said[place] if size is None else (size, size, size))
        smallest, usual, largest = (tuple(axis[place] for axis in axes) for place in range(3))
        found[name] = Profile(smallest, usual, largest)
    return found


class _Progress:
    """Says in a file and in the log how far a build is."""

    def __init__(self, path: Path, key: PlanKey) -> None:
        self.path, self._key = path, key
        self._since, self._started = time.time(), time.monotonic()
        self._logged: tuple[str, int] | None = None
        self.tell("reading the network", 0.0)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def tell(self, phase: str, share: float) -> None:
        """At most eleven lines of log a phase; a folder that is full does not end a build."""
        step = (phase, int(share * 10))
        if step == self._logged:
            return
        self._logged = step
        logger.info("%s: %s, %.0f %%.", self.path.stem, phase, share * 100)
        said = {"key": json.loads(self._key.words), "since": self._since, "phase": phase, "share": share}
        with suppress(OSError):
            part = self.path.with_suffix(".progress")
            part.write_text(json.dumps(said), encoding="utf-8")
            part.replace(self.path)


def _build(key: dict[str, Any], seconds: float, phase: str | None = None, share: float | None = None) -> Build:
    return Build(key["weights_digest"], key["library"], key["capability"], key["precision"], seconds, phase, share)


def _read(path: Path, key: PlanKey) -> bytes | None:
    """The plan in a file, or None where there is none, or not this one, or not whole."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    words, digest, _, plan = (content.split(b"\n", 3) + [b""] * 3)[:4]
    if words != key.words.encode() or digest != hashlib.sha256(plan).hexdigest().encode():
        logger.warning("%s is damaged and built anew.", path.name)
        return None
    return plan


def _write(path: Path, key: PlanKey, plan: bytes, seconds: float = 0.0) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            digest = hashlib.sha256(plan).hexdigest()
            file.write(f"{key.words}\n{digest}\n{seconds:.3f}\n".encode() + plan)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file; the kernel lets it go when its holder dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
