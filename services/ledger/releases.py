"""Releases of datasets: which labels each was made of, so that the same one can be made again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from services.errors import Reject
from services.ledger.accepted import AcceptedLabel, label_from_json, label_to_json
from services.ledger.database import Connection

SHORTEST_DIGEST = 6


@dataclass(frozen=True)
class ReleaseRecord:
    """A release as it was written down.

    Attributes:
        number: counts the task's releases, from 1.
        software: version of Nightjar that wrote it.
        content: digest of what it was made of: labels, name, layout, key.
        digest: of all its files.
        labels: as they were then; later ones of the same workitems do not change it.
        held: how many accepted labels were held back, by reason.
    """

    at: datetime
    task: str
    number: int
    name: str
    layout: str
    software: str
    key_fingerprint: str
    content: str
    digest: str
    labels: tuple[AcceptedLabel, ...]
    held: dict[str, int]


def same_content(connection: Connection, task: str, content: str) -> ReleaseRecord | None:
    """The release that was made of exactly this, or None."""
    row = connection.execute(
        "SELECT * FROM dataset_release WHERE task = %s AND content = %s", [task, content]
    ).fetchone()
    return None if row is None else _record(row)


def next_number(connection: Connection, task: str) -> int:
    row = connection.execute(
        "SELECT coalesce(max(number), 0) + 1 AS n FROM dataset_release WHERE task = %s", [task]
    ).fetchone()
    return int(row["n"]) if row else 1


def save(connection: Connection, record: ReleaseRecord, *, by: str) -> None:
    """Write a release down.

    Raises:
        Reject: somebody else released this task meanwhile.
    """
    written = connection.execute(
        """INSERT INTO dataset_release (at, task, number, name, layout, software, key_fingerprint, content, digest,
               labels, held, recorded_by)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
        [
            record.at,
            record.task,
            record.number,
            record.name,
            record.layout,
            record.software,
            record.key_fingerprint,
            record.content,
            record.digest,
            Jsonb([label_to_json(label) for label in record.labels]),
            Jsonb(record.held),
            by,
        ],
    ).rowcount
    if not written:
        raise Reject(f"Somebody else released the task {record.task} meanwhile. Run it again.")


def list_releases(connection: Connection, task: str | None = None) -> list[ReleaseRecord]:
    """Releases in the order in which they were made."""
    rows = connection.execute(
        "SELECT * FROM dataset_release WHERE %(task)s::text IS NULL OR task = %(task)s ORDER BY id", {"task": task}
    ).fetchall()
    return [_record(row) for row in rows]


def find(connection: Connection, digest: str) -> ReleaseRecord:
    """The release of a digest, or of its beginning.

    Raises:
        Reject: none, or several, begin so.
    """
    found = [
        record
        for record in list_releases(connection)
        if len(digest) >= SHORTEST_DIGEST and record.digest.startswith(digest.lower())
    ]
    if len(found) != 1:
        raise Reject(
            f"{'No release begins' if not found else f'{len(found)} releases begin'} with {digest}. "
            "`nightjar dataset releases` lists them."
        )
    return found[0]


def _record(row: dict[str, Any]) -> ReleaseRecord:
    labels: Sequence[dict[str, Any]] = row["labels"]
    return ReleaseRecord(
        **{key: row[key] for key in ReleaseRecord.__dataclass_fields__ if key != "labels"},
        labels=tuple(label_from_json(label) for label in labels),
    )
