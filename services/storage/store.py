"""The port every byte store implements."""

from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO, Protocol


class Store(Protocol):
    """Keeps immutable bytes. What `put` returned for is durable. One in a bucket raises StoreAway from every method."""

    def put(self, data: bytes, key: str | None = None) -> str:
        """Write bytes under `key` (64 hex digits; the SHA-256 of `data` unless given) and return the key.

        Returns only once the bytes survive a power cut. A key already present is kept as it is.
        """

    def get(self, key: str) -> bytes:
        """The bytes under `key`; KeyError when there are none."""

    def holds(self, key: str) -> bool:
        """Whether there are bytes under `key`."""

    def discard(self, key: str, before: datetime) -> bool:
        """Remove the bytes under `key` unless they were put since `before`; whether some were removed."""

    def every_key(self) -> Iterator[str]:
        """Every key there is, in order."""

    def open(self, key: str) -> BinaryIO:
        """The bytes under `key` as a file to read and seek in; KeyError when there are none."""

    def free_bytes(self) -> int | None:
        """Room left, in bytes; None where nobody can say."""
