"""Sign-ins: a signed cookie that names the account, and a brake on guessing."""

import os
import secrets
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from itsdangerous import BadData, URLSafeTimedSerializer

from services.errors import SettingsError
from services.ledger.accounts import Account
from services.settings import Settings

COOKIE = "nightjar_session"
KEY_FILE = "session.key"
SHORTEST_KEY = 32
FAILURES_ALLOWED = 5
# By account from anywhere, and by address under any name: many people may share an address behind a proxy, and
# nobody should be able to lock a colleague out with a handful of wrong guesses.
FAILURES_ALLOWED_WIDELY = 30
FAILURES_WINDOW = timedelta(minutes=5)


class Sessions:
    """Makes and reads the session cookie. Signing out elsewhere happens by a new password, which changes the stamp."""

    def __init__(self, key: str, lifetime: timedelta) -> None:
        self._serializer = URLSafeTimedSerializer(key, salt="nightjar.session")
        self.lifetime = lifetime

    def issue(self, account: Account) -> str:
        return str(self._serializer.dumps([account.name, account.stamp]))

    def read(self, cookie: str | None) -> tuple[str, str] | None:
        """Account name and stamp of a genuine cookie within its lifetime, or None."""
        if not cookie:
            return None
        try:
            name, stamp = self._serializer.loads(cookie, max_age=int(self.lifetime.total_seconds()))
        except (BadData, ValueError, TypeError):
            return None
        return str(name), str(stamp)


def load_key(settings: Settings) -> str:
    """The signing key of this installation: the site's own, or one made at the first start, for its owner's eyes only.

    Raises:
        SettingsError: the file cannot be read or is too short, or the directory cannot be written to.
    """
    given = settings.web.session_key_file
    if given is not None:
        return _read_key(given)
    data_dir = settings.data_dir
    path = data_dir / KEY_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Another process may start at the same moment: write aside, then link, which never replaces.
            aside = data_dir / f".{KEY_FILE}.{os.getpid()}"
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(48))
            try:
                path.hardlink_to(aside)
            except FileExistsError:
                pass
            finally:
                aside.unlink()
        return path.read_text()
    except OSError as error:
        raise SettingsError(
            f"data_dir = {data_dir}: cannot keep the sign-in key there ({error.strerror}). "
            "Name a directory this user may write to."
        ) from error


def _read_key(path: Path) -> str:
    named = f"web.session_key_file = {path}"
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{named}: cannot be read ({getattr(error, 'strerror', None) or 'no text'}).") from error
    if len(key) < SHORTEST_KEY:
        raise SettingsError(
            f"{named}: a key has {SHORTEST_KEY} characters at least, such as `openssl rand -hex 32` gives."
        )
    return key


@dataclass
class FailureBrake:
    """Counts failed sign-ins; too many within the window close the door for a while."""

    now: Callable[[], datetime]
    _failures: dict[str, deque[datetime]] = field(default_factory=lambda: defaultdict(deque))
    _lock: Lock = field(default_factory=Lock)

    def wait(self, name: str, address: str) -> timedelta | None:
        """How long until another try is allowed, or None when it is now."""
        now = self.now()
        with self._lock:
            waits = [
                recent[0] + FAILURES_WINDOW - now
                for key, allowed in _limits(name, address).items()
                if key in self._failures and len(recent := self._recent(key, now)) >= allowed
            ]
        return max(waits, default=None)

    def failed(self, name: str, address: str) -> None:
        now = self.now()
        with self._lock:
            for key in list(self._failures):
                if not self._recent(key, now):
                    del self._failures[key]
            for key in _limits(name, address):
                self._failures[key].append(now)

    def succeeded(self, name: str, address: str) -> None:
        """Forget this person's slips, and nothing wider: one's own account must not help in guessing another's."""
        with self._lock:
            self._failures.pop(next(iter(_limits(name, address))), None)

    def _recent(self, key: str, now: datetime) -> deque[datetime]:
        failures = self._failures[key]
        while failures and failures[0] <= now - FAILURES_WINDOW:
            failures.popleft()
        return failures


def _limits(name: str, address: str) -> dict[str, int]:
    """What failures are counted under, and how many of each are allowed; the narrowest first."""
    return {
        f"account {name} at {address}": FAILURES_ALLOWED,
        f"account {name}": FAILURES_ALLOWED_WIDELY,
        f"address {address}": FAILURES_ALLOWED_WIDELY,
    }
