"""The byte store on a local directory: fsync before `put` returns."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from services.errors import SettingsError
from services.storage.keys import is_key, place_of


class LocalStore:
    """Bytes under `root/ab/abcdef...`, sharded by the first two hex digits of the key.

    Raises:
        SettingsError: the directory cannot be made or written to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
            for shard in range(256):
                (root / f"{shard:02x}").mkdir(exist_ok=True)
            probe = root / f".probe-{uuid.uuid4().hex}"
            _write_durably(probe, b"")
            probe.unlink()
            for directory in (root, root.parent):
                _sync_directory(directory)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SettingsError(
                f"storage.path = {root}: cannot write there ({reason}). Name a directory this user may write to."
            ) from error

    def put(self, data: bytes, key: str | None = None) -> str:
        """Write, fsync, rename, fsync the directory; a key already present is kept as it is."""
        key = hashlib.sha256(data).hexdigest() if key is None else key
        path = self._path(key)
        try:
            os.utime(path)  # who clears old bytes away sees that these came again
        except FileNotFoundError:
            pass
        else:
            # Whoever renamed it may not have synced the directory yet; after this it is durable for us too.
            _sync_directory(path.parent)
            return key
        part = path.with_name(f".{key}.{uuid.uuid4().hex}")
        try:
            _write_durably(part, data)
            part.rename(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        _sync_directory(path.parent)
        return key

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None

    def holds(self, key: str) -> bool:
        return self._path(key).is_file()

    def discard(self, key: str, before: datetime) -> bool:
        path = self._path(key)
        aside = path.with_name(f".{key}.{uuid.uuid4().hex}")
        try:
            path.rename(aside)
        except FileNotFoundError:
            return False
        # Set aside first: bytes that come again from here on are written anew.
        if aside.stat().st_mtime >= before.timestamp():
            aside.rename(path)
            return False
        aside.unlink()
        return True

    def every_key(self) -> Iterator[str]:
        for shard in sorted(self._root.iterdir()):
            if shard.is_dir():
                yield from sorted(path.name for path in shard.iterdir() if is_key(path.name))

    def open(self, key: str) -> BinaryIO:
        try:
            return self._path(key).open("rb")
        except FileNotFoundError:
            raise KeyError(key) from None

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._root).free

    def _path(self, key: str) -> Path:
        return self._root / place_of(key)


def _write_durably(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
