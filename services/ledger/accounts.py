"""Accounts, and the passwords of local ones."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.errors import Reject
from services.ledger.database import Connection, Pool

MINIMUM_PASSWORD_LENGTH = 12

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_hasher = PasswordHasher()


class Role(StrEnum):
    """What an account may do; an account may have several. A system is no person: DICOMweb and no page."""

    RADIOLOGIST = "radiologist"
    ANNOTATOR = "annotator"
    REVIEWER = "reviewer"
    ARBITER = "arbiter"
    ADMINISTRATOR = "administrator"
    SYSTEM = "system"


@dataclass(frozen=True)
class Account:
    """Somebody who can sign in.

    Attributes:
        stamp: changes with the password; a session made under another stamp is over.
        language: of the pages (BCP 47) as they chose it, or None.
    """

    name: str
    roles: frozenset[Role]
    stamp: str
    language: str | None = None


def create_account(connection: Connection, name: str, password: str, roles: Iterable[Role]) -> None:
    """Add an account.

    Raises:
        Reject: the name or the password cannot be used, or the name is taken.
    """
    check_name(name)
    if len(password) < MINIMUM_PASSWORD_LENGTH:
        raise Reject(f"A password has at least {MINIMUM_PASSWORD_LENGTH} characters.")
    created = connection.execute(
        "INSERT INTO account (name, password_hash, roles) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [name, _hasher.hash(password), sorted(set(roles))],
    ).rowcount
    if not created:
        raise Reject(f"There is already an account called {name}.")


def check_name(name: str) -> None:
    """See that an account can be called so.

    Raises:
        Reject: the sentence says what a name is made of.
    """
    if not NAME.fullmatch(name):
        raise Reject(
            "An account name is 1 to 40 of a-z, 0-9, dot, dash and underscore, and begins with a letter or digit."
        )


def ensure_first_account(pool: Pool) -> tuple[str, str] | None:
    """Name and random password of the account `radiologist`, made when there is none at all; else None."""
    password = secrets.token_urlsafe(12)
    with pool.connection() as connection:
        connection.execute("LOCK TABLE account IN SHARE ROW EXCLUSIVE MODE")
        if connection.execute("SELECT 1 FROM account LIMIT 1").fetchone() is not None:
            return None
        create_account(connection, Role.RADIOLOGIST, password, [Role.RADIOLOGIST])
    return str(Role.RADIOLOGIST), password


@cache
def _nobody() -> str:
    """Checked where there is no account or no password, so that the answer takes as long as where there is one."""
    return _hasher.hash(secrets.token_urlsafe(16))


def verify(connection: Connection, name: str, password: str) -> Account | None:
    """The account these credentials open, or None; an outdated hash is renewed."""
    row = connection.execute("SELECT password_hash FROM account WHERE name = %s", [name]).fetchone()
    stored = row["password_hash"] if row else ""
    has_password = stored.startswith("$argon2")
    try:
        _hasher.verify(stored if has_password else _nobody(), password)
    except (VerificationError, InvalidHashError):
        return None
    if not has_password:
        return None
    if _hasher.check_needs_rehash(stored):
        connection.execute("UPDATE account SET password_hash = %s WHERE name = %s", [_hasher.hash(password), name])
    return find_account(connection, name)


def find_account(connection: Connection, name: str) -> Account | None:
    """The account of this name, or None."""
    row = connection.execute(
        """SELECT name, roles, language, left(encode(sha256(convert_to(password_hash, 'UTF8')), 'hex'), 16) AS stamp
           FROM account WHERE name = %s""",
        [name],
    ).fetchone()
    if row is None:
        return None
    known = {role.value for role in Role}
    return Account(
        name=row["name"],
        roles=frozenset(Role(role) for role in row["roles"] if role in known),
        stamp=row["stamp"],
        language=row["language"],
    )


def save_language(connection: Connection, name: str, language: str) -> None:
    """Keep the language somebody reads the pages in, for wherever they sign in."""
    connection.execute("UPDATE account SET language = %s WHERE name = %s", [language, name])


def list_readers(connection: Connection) -> list[str]:
    """Names of the accounts that read studies."""
    rows = connection.execute(
        "SELECT name FROM account WHERE %s = ANY(roles) ORDER BY name", [Role.RADIOLOGIST]
    ).fetchall()
    return [row["name"] for row in rows]
