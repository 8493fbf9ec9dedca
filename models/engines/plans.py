"""TensorRT plans kept on disk: building one takes minutes, and every replica of a model wants the same.

A plan belongs to one file of weights, one version of the library, one kind of GPU, one precision and one profile of
shapes; another of any of these is another file. A file that was cut short or changed is built anew.
"""

import fcntl
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from models.errors import UnwritableOutput

logger = logging.getLogger(__name__)

Shape = tuple[int, ...]


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
        precision: such as "fp32".
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


@dataclass(frozen=True)
class PlanCache:
    """A folder of plans, shared by processes and, where its file system locks files, by machines."""

    folder: Path

    def get(self, key: PlanKey, build: Callable[[], bytes]) -> bytes:
        """The plan of a key, built by whoever comes first while the others wait.

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
                    plan = build()
                    _write(path, key, plan)
                    logger.info("Built %s.", path.name)
        except OSError as error:
            raise UnwritableOutput(
                f"The folder of engines {self.folder} cannot be used: {error.strerror}. See inference.engine_cache."
            ) from error
        return plan

    def drop(self, key: PlanKey) -> None:
        """Forget a plan that the library does not take."""
        (self.folder / key.file_name).unlink(missing_ok=True)


def _read(path: Path, key: PlanKey) -> bytes | None:
    """The plan in a file, or None where there is none, or not this one, or not whole."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    words, _, rest = content.partition(b"\n")
    digest, _, plan = rest.partition(b"\n")
    if words != key.words.encode() or digest != hashlib.sha256(plan).hexdigest().encode():
        logger.warning("%s is damaged and built anew.", path.name)
        return None
    return plan


def _write(path: Path, key: PlanKey, plan: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            file.write(b"\n".join((key.words.encode(), hashlib.sha256(plan).hexdigest().encode(), plan)))
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
