"""SQL of reconciliation: what was acknowledged and what was delivered, study by study, and what a comparison found."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.ledger.database import Connection


@dataclass(frozen=True)
class KeptStudy:
    """What the ledger says of one study.

    Attributes:
        series: SOP Instance UIDs by Series Instance UID.
        results: SOP Instance UIDs of every result ever made for it.
        delivered: those of them that a destination took.
        settled: nothing arrived after the moment that was asked about.
    """

    study_uid: str
    series: dict[str, frozenset[str]]
    results: frozenset[str]
    delivered: frozenset[str]
    settled: bool


def studies_since(connection: Connection, since: datetime) -> list[str]:
    """Studies of which something arrived since then, the oldest first."""
    rows = connection.execute(
        "SELECT study_uid FROM study WHERE last_instance_at >= %s ORDER BY first_instance_at", [since]
    ).fetchall()
    return [row["study_uid"] for row in rows]


def kept(connection: Connection, study_uid: str, destination: str | None, quiet_since: datetime) -> KeptStudy:
    """What is kept of a study, and what was delivered to a destination; empty when it never came."""
    row = connection.execute("SELECT last_instance_at FROM study WHERE study_uid = %s", [study_uid]).fetchone()
    series: dict[str, set[str]] = {}
    for instance in connection.execute(
        "SELECT series_uid, sop_instance_uid FROM instance WHERE study_uid = %s AND NOT conflict", [study_uid]
    ).fetchall():
        series.setdefault(instance["series_uid"], set()).add(instance["sop_instance_uid"])
    results = connection.execute(
        """SELECT r.sop_instance_uid, EXISTS (SELECT FROM delivery d WHERE d.result_id = r.id
                  AND d.destination = %s AND d.state = 'delivered') AS delivered
           FROM result r WHERE r.study_uid = %s""",
        [destination, study_uid],
    ).fetchall()
    return KeptStudy(
        study_uid,
        {uid: frozenset(instances) for uid, instances in series.items()},
        frozenset(result["sop_instance_uid"] for result in results),
        frozenset(result["sop_instance_uid"] for result in results if result["delivered"]),
        settled=row is None or row["last_instance_at"] < quiet_since,
    )


def keys_since(connection: Connection, since: datetime | None) -> list[dict[str, Any]]:
    """Storage keys of the instances, conflicting ones too, that were acknowledged since then (None: ever).

    Those of studies whose bytes retention removed are left out.
    """
    return connection.execute(
        """SELECT i.digest, i.sop_instance_uid, i.study_uid FROM instance i JOIN study s USING (study_uid)
           WHERE (%(since)s::timestamptz IS NULL OR i.received_at >= %(since)s)
             AND (s.expired_at IS NULL OR i.received_at > s.expired_at) ORDER BY i.id""",
        {"since": since},
    ).fetchall()


def unanswered(connection: Connection, before: datetime) -> list[str]:
    """Studies without an end state of which nothing has arrived since then: they should have one."""
    rows = connection.execute(
        "SELECT study_uid FROM study WHERE state IN ('receiving', 'analysing') AND last_instance_at < %s", [before]
    ).fetchall()
    return [row["study_uid"] for row in rows]


def record(connection: Connection, at: datetime, since: datetime, studies: int, differences: int) -> None:
    """Note what a comparison found, for metrics."""
    connection.execute(
        "INSERT INTO reconciliation (at, since, studies, differences) VALUES (%s, %s, %s, %s)",
        [at, since, studies, differences],
    )


def latest(connection: Connection) -> dict[str, Any] | None:
    """The last comparison: its age in seconds and its differences; None before the first."""
    return connection.execute(
        """SELECT extract(epoch FROM clock_timestamp() - at)::float8 AS age_s, differences
           FROM reconciliation ORDER BY id DESC LIMIT 1"""
    ).fetchone()
