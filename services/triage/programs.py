"""Sign-in of programs by HTTP Basic (RFC 7617), on the addresses that programs use."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from services.ledger.accounts import Account, find_account, verify
from services.ledger.audit import record_audit
from services.ledger.database import Connection
from services.triage.sessions import FailureBrake

KNOWN_FOR = timedelta(minutes=5)
"""A password checked so long ago is checked again: its hash is made to be slow, and a program sends it every time."""


@dataclass
class Programs:
    """Checks credentials; those that were right are known for a while by a keyed digest, never as they are."""

    brake: FailureBrake
    _known: dict[bytes, tuple[str, str, datetime]] = field(default_factory=dict)
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _lock: Lock = field(default_factory=Lock)

    def account(self, connection: Connection, authorization: str, address: str) -> Account | None:
        """The account of an Authorization header, or None; failures are braked and recorded as on the page."""
        credentials = _read(authorization)
        if credentials is None:
            return None
        name, password = credentials
        now = self.brake.now()
        digest = hmac.new(self._key, f"{name}\0{password}".encode(), hashlib.sha256).digest()
        with self._lock:
            known = self._known.get(digest)
        if known is not None and now - known[2] < KNOWN_FOR:
            account = find_account(connection, known[0])
            if account is not None and account.stamp == known[1]:
                return account
        if self.brake.wait(name, address) is not None:
            return None
        account = verify(connection, name, password)
        known_name = name if account is not None or find_account(connection, name) is not None else None
        outcome = "success" if account is not None else "failure"
        record_audit(connection, "sign-in", account=known_name, address=address, outcome=outcome)
        if account is None:
            self.brake.failed(name, address)
            return None
        self.brake.succeeded(name, address)
        with self._lock:
            self._known = {key: entry for key, entry in self._known.items() if now - entry[2] < KNOWN_FOR}
            self._known[digest] = (account.name, account.stamp, now)
        return account


def _read(authorization: str) -> tuple[str, str] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name.strip().lower(), password) if colon else None
