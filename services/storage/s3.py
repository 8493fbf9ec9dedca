"""The byte store in a bucket: one object a key, as a volume has one file, so that either can be copied to the other."""

import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from services.errors import StoreAway
from services.storage.bucket import Bucket
from services.storage.keys import is_key, place_of

DEAD_AFTER = timedelta(hours=1)
"""Removing one object takes seconds; a mark as old as this was left by somebody who died."""


class S3Store:
    """Bytes as objects `prefix/ab/abcdef...`.

    Bytes that come again while somebody removes them must not be lost, and S3 removes without looking. So who removes
    marks the key first and looks then, and who brings bytes that are there already writes them anew first and looks for
    a mark then: whichever comes second sees the other. Of two that remove one key at once neither would see the other;
    retention holds a row of the ledger meanwhile.
    """

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket, self._prefix = bucket, prefix

    def put(self, data: bytes, key: str | None = None) -> str:
        """A key already present keeps its bytes."""
        key = hashlib.sha256(data).hexdigest() if key is None else key
        path = self._path(key)
        if self._bucket.written_at(path) is not None and self._touched(key):
            return key
        self._bucket.put(path, data)
        return key

    def get(self, key: str) -> bytes:
        return self._bucket.get(self._path(key))

    def holds(self, key: str) -> bool:
        return self._bucket.written_at(self._path(key)) is not None

    def discard(self, key: str, before: datetime) -> bool:
        path, mark = self._path(key), self._mark(key)
        self._bucket.put(mark, b"")
        try:
            written_at = self._bucket.written_at(path)
            if written_at is None or written_at >= before:
                return False
            self._bucket.remove(path)
            return True
        finally:
            self._bucket.remove(mark)

    def every_key(self) -> Iterator[str]:
        for path in self._bucket.keys(self._prefix):
            key = path.rpartition("/")[2]
            if is_key(key) and path == self._path(key):
                yield key

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self.get(key))

    def free_bytes(self) -> None:
        """Nobody can say."""

    def _touched(self, key: str) -> bool:
        """Write bytes anew that are there; False when they are there no more.

        Raises:
            StoreAway: somebody is removing them at this moment.
        """
        try:
            self._bucket.touch(self._path(key))
        except KeyError:
            return False
        marked_at = self._bucket.written_at(self._mark(key))
        if marked_at is not None and datetime.now(UTC) - marked_at < DEAD_AFTER:
            raise StoreAway("These bytes are being removed at this moment; bring them again.")
        return self.holds(key)

    def _path(self, key: str) -> str:
        return self._prefix + place_of(key)

    def _mark(self, key: str) -> str:
        return f"{self._prefix}leaving/{key}"
