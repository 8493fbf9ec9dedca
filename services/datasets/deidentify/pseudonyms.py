"""Keyed stand-ins: the same secret gives the same pseudonym, UIDs and dates, and without it none can be undone.

Everything is HMAC-SHA256 under one secret, with a word before the input for each use, so that no two uses can be
compared with each other.
"""

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from services.errors import SettingsError

SMALLEST_KEY: Final = 32
_WEEKS: Final = (52, 520)
"""Dates move back by one to ten years, in whole weeks: the day of the week stays."""


@dataclass(frozen=True)
class Shift:
    """How far one patient's time moves back: always the same, so what lies between two moments stays."""

    days: int
    seconds: int

    def moment(self, at: datetime) -> datetime:
        """Raises OverflowError where the calendar ends."""
        return at - timedelta(days=self.days, seconds=self.seconds)

    def day(self, on: date) -> date:
        """A date whose time is not known."""
        return on - timedelta(days=self.days)


class Pseudonyms:
    """Stand-ins under one secret. `repr` never shows it.

    Raises:
        SettingsError: the secret is too short.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < SMALLEST_KEY:
            raise SettingsError(
                f"The de-identification key has {len(key)} bytes; it needs {SMALLEST_KEY}. "
                "Make one: nightjar dataset key FILE."
            )
        self._key = key

    @property
    def fingerprint(self) -> str:
        """Tells keys apart, says nothing about them."""
        return self._digest("fingerprint", "").hex()[:12]

    def patient(self, identity: str) -> str:
        """What a patient is called, such as NJ4K7QXM2ATZ."""
        return "NJ" + base64.b32encode(self._digest("patient", identity)).decode()[:10]

    def person(self, account: str) -> str:
        """What somebody who worked on the data is called, such as reader-3F7A2C91."""
        return f"reader-{self._digest('person', account).hex()[:8].upper()}"

    def uid(self, uid: str) -> str:
        """A 2.25 UID (PS3.5 B.2) in the place of another one."""
        return f"2.25.{UUID(bytes=self._digest('uid', uid)[:16], version=5).int}"

    def shift(self, identity: str) -> Shift:
        digest = self._digest("shift", identity)
        low, high = _WEEKS
        weeks = low + int.from_bytes(digest[:8], "big") % (high - low)
        return Shift(days=7 * weeks, seconds=int.from_bytes(digest[8:16], "big") % 86400)

    def share(self, use: str, identity: str) -> float:
        """A number in [0, 1) that belongs to a patient, for drawing lots that come out the same again."""
        return int.from_bytes(self._digest(f"share {use}", identity)[:8], "big") / 2**64

    def _digest(self, use: str, text: str) -> bytes:
        return hmac.new(self._key, f"{use}\0{text}".encode(), hashlib.sha256).digest()


def read_key(path: Path | None) -> Pseudonyms:
    """The secret in a file that `write_key` wrote, or any file of at least 32 bytes.

    Raises:
        SettingsError: no file is named, it cannot be read, others may read it, or it is too short.
    """
    if path is None:
        raise SettingsError(
            "No de-identification key: make one with `nightjar dataset key FILE`, then name it with --key, "
            "datasets.key_file or NIGHTJAR_DATASETS__KEY_FILE. Keep it: only with it can a later release continue."
        )
    try:
        content = path.read_bytes().strip()
        mode = path.stat().st_mode
    except OSError as error:
        raise SettingsError(f"The de-identification key {path} cannot be read: {error.strerror}.") from error
    if mode & 0o007:
        raise SettingsError(f"Everybody on this machine may read the key {path}. Say: chmod 600 {path}")
    return Pseudonyms(content)


def write_key(path: Path) -> Pseudonyms:
    """Make a secret in a new file that only its owner may read.

    Raises:
        SettingsError: the file is there already, or cannot be written.
    """
    content = secrets.token_hex(SMALLEST_KEY).encode()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise SettingsError(
            f"{path} is there already. A lost key cannot be made again, so none is written over."
        ) from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return Pseudonyms(content)
