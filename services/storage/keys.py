"""Where the bytes under a key lie, below a directory or a prefix."""

import re

_KEY = re.compile(r"[0-9a-f]{64}")


def is_key(text: str) -> bool:
    """Whether this is a key: 64 lower-case hex digits."""
    return _KEY.fullmatch(text) is not None


def place_of(key: str) -> str:
    """`ab/abcdef...`; ValueError when it is no key."""
    if not is_key(key):
        raise ValueError("a storage key is 64 lower-case hex digits")
    return f"{key[:2]}/{key}"
