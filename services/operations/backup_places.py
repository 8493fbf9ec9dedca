"""Where a backup lies: a folder, or below a prefix of a bucket."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from services.errors import SettingsError, StoreRefuses
from services.settings import BackupSettings
from services.storage import LocalStore, Store

STORE = "store"
SETTING = "backup.s3"
_ADDRESS = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<path>(/[A-Za-z0-9._-]+)*)/?")


class Place(Protocol):
    """Files by name beside a byte store. `write` replaces a file at once or not at all, and is durable when it returns.

    Attributes:
        store: the bytes.
        scratch: folder where a file is made that `write` then takes; None: any.
    """

    store: Store
    scratch: Path | None

    def write(self, name: str, file: Path) -> None:
        """Take a file; it may be gone afterwards."""

    def local(self, name: str) -> AbstractContextManager[Path]:
        """The file on this machine for as long as the `with` lasts; KeyError when there is none."""

    def remove(self, name: str) -> None:
        """Also when there is none."""


class Folder:
    """A folder of this machine.

    Raises:
        SettingsError: it cannot be written to.
    """

    def __init__(self, root: Path) -> None:
        try:
            self.store: Store = LocalStore(root / STORE)
        except SettingsError:
            raise SettingsError(f"{root}: cannot write there. Name a folder this user may write to.") from None
        self.scratch: Path | None = root
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def write(self, name: str, file: Path) -> None:
        with file.open("rb") as content:
            os.fsync(content.fileno())
        file.rename(self._root / name)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        path = self._root / name
        if not path.is_file():
            raise KeyError(name)
        yield path

    def remove(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)


class InBucket:
    """Below a prefix of a bucket.

    Args:
        write: whether it must be possible to write there.

    Raises:
        SettingsError: the bucket cannot be used as it is set.
        StoreAway: the object store does not answer now.
    """

    def __init__(self, settings: BackupSettings, name: str, prefix: str, *, write: bool) -> None:
        from services.storage.bucket import Bucket
        from services.storage.s3 import S3Store

        try:
            self._bucket = Bucket(settings.s3, name, SETTING)
            self._bucket.check(prefix, write=write)
        except StoreRefuses as error:
            raise SettingsError(str(error)) from None
        self.store: Store = S3Store(self._bucket, f"{prefix}{STORE}/")
        self.scratch: Path | None = None
        self._address, self._prefix = f"s3://{name}/{prefix}".rstrip("/"), prefix

    def __str__(self) -> str:
        return self._address

    def write(self, name: str, file: Path) -> None:
        self._bucket.upload(file, self._prefix + name)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / name
            self._bucket.download(self._prefix + name, path)
            yield path

    def remove(self, name: str) -> None:
        self._bucket.remove(self._prefix + name)


def open_place(address: str, settings: BackupSettings, *, write: bool) -> Place:
    """A folder by its path, or `s3://BUCKET/PATH`.

    Args:
        write: to back up there; to restore from there, a folder must exist already.

    Raises:
        SettingsError: it cannot be used.
        StoreAway: the object store does not answer now.
    """
    if address.startswith("s3:"):
        found = _ADDRESS.fullmatch(address)
        if found is None:
            raise SettingsError(f"{address}: write s3://BUCKET or s3://BUCKET/PATH.")
        prefix = found["path"].lstrip("/")
        return InBucket(settings, found["bucket"], f"{prefix}/" if prefix else "", write=write)
    if not write and not Path(address).is_dir():
        raise SettingsError(f"{address}: there is no such folder.")
    return Folder(Path(address))
