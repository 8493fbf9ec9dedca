"""Who may annotate what: experience, reference cases to learn from and be tested against, and admissions."""

from dataclasses import dataclass
from datetime import date, datetime

from services.ledger.accounts import Role
from services.ledger.database import Connection
from services.ledger.workitems import Purpose


@dataclass(frozen=True)
class ReferenceCase:
    """A case with a mask that others are held against."""

    id: int
    task: str
    purpose: Purpose
    study_uid: str
    series_uid: str
    mask_digest: str
    added_by: str
    added_at: datetime


@dataclass(frozen=True)
class Admission:
    """The end of a consistency test, or a decision by hand (then attempt, cases, dice and icc are None)."""

    at: datetime
    account: str
    task: str
    passed: bool
    attempt: int | None
    cases: int | None
    dice: float | None
    icc: float | None
    decided_by: str | None
    reason: str | None


@dataclass(frozen=True)
class Person:
    """An account that takes part in the review."""

    name: str
    roles: tuple[str, ...]
    experienced_since: date | None


def experienced_since(connection: Connection, account: str) -> date | None:
    """Since when an account reads such images; None: not recorded."""
    row = connection.execute("SELECT experienced_since FROM account WHERE name = %s", [account]).fetchone()
    return None if row is None else row["experienced_since"]


def record_experience(connection: Connection, account: str, since: date) -> None:
    connection.execute("UPDATE account SET experienced_since = %s WHERE name = %s", [since, account])


def list_people(connection: Connection) -> list[Person]:
    """Accounts with a role in the review, by name."""
    rows = connection.execute(
        "SELECT name, roles, experienced_since FROM account WHERE roles && %s::text[] ORDER BY name",
        [[Role.ANNOTATOR, Role.REVIEWER, Role.ARBITER]],
    ).fetchall()
    return [Person(row["name"], tuple(row["roles"]), row["experienced_since"]) for row in rows]


def add_reference(
    connection: Connection,
    *,
    task: str,
    purpose: Purpose,
    study_uid: str,
    series_uid: str,
    mask_digest: str,
    added_by: str,
) -> int | None:
    """Add a reference case; None when the task has this series already."""
    row = connection.execute(
        """INSERT INTO reference_case (task, purpose, study_uid, series_uid, mask_digest, added_by)
           VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id""",
        [task, purpose, study_uid, series_uid, mask_digest, added_by],
    ).fetchone()
    return None if row is None else int(row["id"])


def references(connection: Connection, task: str, purpose: Purpose | None = None) -> list[ReferenceCase]:
    rows = connection.execute(
        "SELECT * FROM reference_case WHERE task = %s AND (%s::text IS NULL OR purpose = %s) ORDER BY id",
        [task, purpose, purpose],
    ).fetchall()
    return [ReferenceCase(**{**row, "purpose": Purpose(row["purpose"])}) for row in rows]


def reference(connection: Connection, identifier: int) -> ReferenceCase | None:
    row = connection.execute("SELECT * FROM reference_case WHERE id = %s", [identifier]).fetchone()
    return ReferenceCase(**{**row, "purpose": Purpose(row["purpose"])}) if row else None


def admit(
    connection: Connection,
    account: str,
    task: str,
    *,
    passed: bool,
    attempt: int | None = None,
    cases: int | None = None,
    dice: float | None = None,
    icc: float | None = None,
    decided_by: str | None = None,
    reason: str | None = None,
) -> None:
    """Write an admission or its refusal; the latest of an account and task counts."""
    connection.execute(
        """INSERT INTO admission (account, task, passed, attempt, cases, dice, icc, decided_by, reason)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [account, task, passed, attempt, cases, dice, icc, decided_by, reason],
    )


def admission(connection: Connection, account: str, task: str) -> Admission | None:
    """The latest decision on whether an account may annotate a task; None: there was none."""
    row = connection.execute(
        "SELECT * FROM admission WHERE account = %s AND task = %s ORDER BY id DESC LIMIT 1", [account, task]
    ).fetchone()
    return _admission(row) if row else None


def admissions(connection: Connection) -> list[Admission]:
    """Every admission and refusal, oldest first."""
    return [_admission(row) for row in connection.execute("SELECT * FROM admission ORDER BY id").fetchall()]


def _admission(row: dict[str, object]) -> Admission:
    return Admission(**{key: value for key, value in row.items() if key != "id"})  # type: ignore[arg-type]
