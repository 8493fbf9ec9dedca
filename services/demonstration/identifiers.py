"""UIDs of the demonstration studies: the same seed writes the same objects."""

from uuid import UUID, uuid5

_NAMESPACE = UUID("5a4e2c1e-6a0f-4f3c-9a55-7d1c2b90e0aa")


def derive_uid(*parts: str | int) -> str:
    """A 2.25 UID (PS3.5 B.2) that depends on nothing but `parts`."""
    return f"2.25.{uuid5(_NAMESPACE, '/'.join(str(part) for part in parts)).int}"
