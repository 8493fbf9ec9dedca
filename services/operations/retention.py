"""Retention: the bytes of studies that are old enough leave the store, the ledger's account of them stays."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.context import Context
from services.ledger import retention

BATCH = 100


@dataclass(frozen=True)
class Expiry:
    """What a run did, or would do.

    Attributes:
        before: studies of which nothing has arrived since then.
        studies: how many of them may go, or went.
        objects: byte objects removed; None of a run that only counted.
    """

    before: datetime
    studies: int
    objects: int | None


def count(context: Context, before: datetime) -> Expiry:
    """How many studies may go, without touching any."""
    with context.pool.connection() as connection:
        return Expiry(before, retention.count_over(connection, before), None)


def expire(context: Context, before: datetime, progress: Callable[[int], None] = lambda _: None) -> Expiry:
    """Remove the bytes of every study that may go.

    The bytes go before the note of it commits: a run that dies is finished by the next. Bytes that somebody sends again
    meanwhile stay.
    """
    studies = objects = 0
    while True:
        with context.pool.connection() as connection:
            batch = retention.lock_over(connection, before, BATCH)
            objects += sum(context.store.discard(key, before) for key in retention.keys_of(connection, batch))
            retention.mark_expired(connection, batch, context.now())
        studies += len(batch)
        progress(studies)
        if not batch:
            return Expiry(before, studies, objects)
