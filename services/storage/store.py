"""The port every byte store implements."""

from typing import Protocol


class Store(Protocol):
    """Keeps immutable bytes. What `put` returned for is durable."""

    def put(self, data: bytes, key: str | None = None) -> str:
        """Write bytes under `key` (64 hex digits; the SHA-256 of `data` unless given) and return the key.

        Returns only once the bytes survive a power cut. A key already present is kept as it is.
        """

    def get(self, key: str) -> bytes:
        """The bytes under `key`; KeyError when there are none."""

    def free_bytes(self) -> int:
        """Room left, in bytes."""
