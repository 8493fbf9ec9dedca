"""Accounts of people whom an identity provider vouches for: it says who they are and what they may do."""

import secrets
from dataclasses import dataclass

from services.errors import Reject
from services.ledger.accounts import NAME, Account, Role, check_name, find_account
from services.ledger.database import Connection

_AWAITED = "provided: awaited"
"""In place of a password: nobody has come yet."""


class NoRole(Reject):
    """They are in no group that has a role here."""


class NoName(Reject):
    """What the provider calls them is no name of an account."""


class NameTaken(Reject):
    """Another account has their name; the message is that name."""


@dataclass(frozen=True)
class Person:
    """Who signs in.

    Attributes:
        subject: issuer and subject, which never change.
        name: what the account is called when it is made.
        roles: by the groups they are in now.
    """

    subject: str
    name: str
    roles: frozenset[Role]


def open_account(connection: Connection, person: Person) -> Account:
    """The person's account with the roles of today, made at the first sign-in.

    Raises:
        NoRole, NoName, NameTaken: they have no account here; roles that were lost are lost all the same.
    """
    row = connection.execute("SELECT name FROM account WHERE subject = %s", [person.subject]).fetchone()
    if row is not None:
        # Who lost every role is signed out wherever they are.
        connection.execute(
            """UPDATE account SET roles = %s, password_hash = CASE WHEN %s THEN password_hash ELSE %s END
               WHERE name = %s""",
            [sorted(person.roles), bool(person.roles), _no_password(), row["name"]],
        )
    if not person.roles:
        raise NoRole("No role in Nightjar.")
    if row is None:
        if not NAME.fullmatch(person.name):
            raise NoName("No usable name.")
        made = connection.execute(
            """INSERT INTO account (name, password_hash, roles, subject) VALUES (%s, %s, %s, %s)
               ON CONFLICT (name) DO UPDATE
               SET password_hash = excluded.password_hash, roles = excluded.roles, subject = excluded.subject
               WHERE account.password_hash = %s""",
            [person.name, _no_password(), sorted(person.roles), person.subject, _AWAITED],
        ).rowcount
        if not made:
            raise NameTaken(person.name)
    account = find_account(connection, person.name if row is None else row["name"])
    assert account is not None
    return account


def await_person(connection: Connection, name: str) -> None:
    """Keep an account for whom the provider calls so. One that is there loses its password and keeps all else.

    Raises:
        Reject: the name cannot be used.
    """
    check_name(name)
    connection.execute(
        """INSERT INTO account (name, password_hash, roles) VALUES (%s, %s, '{}')
           ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash WHERE account.subject IS NULL""",
        [name, _AWAITED],
    )


def _no_password() -> str:
    """No argon2 hash, so no password opens it; random, for sessions are bound to it."""
    return f"provided:{secrets.token_urlsafe(16)}"
