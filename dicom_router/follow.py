"""Archives that are followed: what is new there comes in as if it had been sent.

An archive numbers its changes. The ledger keeps how far they were read, so a router that dies or is upgraded misses
nothing, and of several routers one at a time reads a source. Everything it tells of goes through the intake of C-STORE;
what comes a second time changes nothing.
"""

import logging
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg
from psycopg_pool import PoolTimeout

from dicom_router.errors import OUT_OF_RESOURCES, PROCESSING_FAILURE, ConflictRefused, status_of
from dicom_router.orthanc import Change, Gone, OrthancClient, Unobtainable
from dicom_router.persist import persist
from services.archive_settings import Source
from services.context import Context
from services.errors import Interrupted, NightjarError, Reject
from services.ledger.following import Position, is_result, lock_position, move_position
from services.ledger.intake import Sender, close_association, record_quarantine
from services.operations.instruments import SOURCE_INSTANCES, SOURCE_READ
from services.part10 import NotDICOM, from_bytes

ATTEMPTS = 5
"""An instance that the archive cannot give so often is put down in quarantine, and what follows it is read."""

SIDE_BY_SIDE = 4
"""Instances fetched at once."""

_log = logging.getLogger(__name__)


@contextmanager
def following(context: Context) -> Iterator[None]:
    """Follow every source of the settings as long as this lasts."""
    followers = [Follower(context, source) for source in context.settings.sources]
    for follower in followers:
        follower.start()
    try:
        yield
    finally:
        for follower in followers:
            follower.stop()


class Follower:
    """Reads one archive's changes, again and again, in a thread of its own."""

    def __init__(self, context: Context, source: Source) -> None:
        self._context, self._source = context, source
        self._client = OrthancClient(source)
        self._archive: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow-{source.name}", daemon=True)
        self._attempts: Counter[int] = Counter()
        self._sender: Sender | None = None
        self._heard_at = context.now()
        self._trouble: str | None = None

    def start(self) -> None:
        SOURCE_READ.labels(self._source.name).set(0)
        _log.info("%s is followed.", self._source.name)
        self._thread.start()

    def stop(self) -> None:
        """Return once what is being fetched is kept."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        with self._client:
            while not self._stopping.is_set():
                more, trouble = False, None
                try:
                    more = self.read()
                except Exception as error:  # noqa: BLE001 - whatever it is, the next look may go well
                    self._archive, trouble = None, _told(error)
                if not self._stopping.is_set():
                    self._say(trouble)
                if not more:
                    self._stopping.wait(self._source.poll_s)
            self._hang_up()

    def read(self) -> bool:
        """Deal with the next changes; whether there may be more at once.

        Raises:
            SourceAway: the archive does not answer.
            Exception: an instance could not be fetched or kept; what came before it is.
        """
        name = self._source.name
        changes: list[Change] = []
        trouble: BaseException | None = None
        with self._context.pool.connection() as connection:
            position = lock_position(connection, name)
            if position is not None:
                position, last = self._place(position)
                if last != position.change:
                    changes = self._client.changes(position.change or 0)
                    # What is deleted takes its changes along: there may be none though the count went on.
                    position, trouble = (
                        self._take(changes, position) if changes else (Position(position.archive, last), None)
                    )
                move_position(connection, name, position)
        if trouble is not None:
            raise trouble
        if position is not None:
            SOURCE_READ.labels(name).set(self._context.now().timestamp())
        if not changes:
            self._hang_up(self._context.now() - timedelta(seconds=self._context.settings.router.idle_s))
        return bool(changes)

    def _place(self, position: Position) -> tuple[Position, int]:
        """Where to read on, and the archive's last change.

        It is the end for an archive never seen, and the beginning for one that is not the same. The count may go down:
        what is deleted takes its changes along, and an archive that does not say who it is may be another one.
        """
        if self._archive is None:
            self._archive = self._client.archive()
        archive, last = self._archive, self._client.last_change()
        if position.change is None:
            return Position(archive, 0 if self._source.from_start else last), last
        if position.archive not in ("", archive):
            _log.warning("%s is another archive than it was: it is read from the beginning.", self._source.name)
            return Position(archive, 0), last
        return Position(archive, min(position.change, last)), last

    def _take(self, changes: list[Change], position: Position) -> tuple[Position, BaseException | None]:
        """Fetch what is new: how far that went, and why it went no further."""
        if self._sender is None:
            self._sender = Sender(uuid.uuid4(), self._source.name, self._context.settings.router.ae_title, "rest")
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="fetch") as executor:
            fetched = [executor.submit(self._deal_with, change, self._sender) for change in changes]
            for change, each in zip(changes, fetched, strict=True):
                trouble = each.exception()
                if trouble is not None:
                    executor.shutdown(cancel_futures=True)  # those under way come again, and change nothing then
                    return position, trouble
                outcome = each.result()
                if outcome is not None:
                    SOURCE_INSTANCES.labels(self._source.name, outcome).inc()
                if outcome in ("kept", "quarantined"):
                    self._heard_at = self._context.now()
                position = Position(position.archive, change.number)
        return position, None

    def _deal_with(self, change: Change, sender: Sender) -> str | None:
        """What became of a change; None: it brought no instance."""
        if change.instance is None:
            return None
        if self._stopping.is_set():
            raise Interrupted("The router was asked to end.")
        try:
            return self._fetch(change.instance, sender)
        except Gone:
            return "gone"
        except ConflictRefused:
            return "kept"
        except Reject:
            return "quarantined"
        except Exception as error:
            self._attempts[change.number] += 1
            if _passes(error) or self._attempts[change.number] < ATTEMPTS:
                raise
            self._put_down(change.instance, sender, _told(error))
            return "quarantined"

    def _fetch(self, instance: str, sender: Sender) -> str:
        sop_instance_uid, modality = self._client.describe(instance)
        if modality not in self._source.modalities:
            return "passed_by"
        with self._context.pool.connection() as connection:
            if is_result(connection, sop_instance_uid):
                return "passed_by"
        data = self._client.file(instance)
        try:
            file = from_bytes(data)
        except NotDICOM as error:
            raise Unobtainable("what it gives is no DICOM file") from error
        persist(
            self._context,
            file.load(),
            file.transfer_syntax_uid,
            sender,
            sop_class_uid=file.sop_class_uid,
            sop_instance_uid=file.sop_instance_uid,
        )
        return "kept"

    def _put_down(self, instance: str, sender: Sender, reason: str) -> None:
        """An instance that never came, for people to look after."""
        _log.error("%s cannot give an instance (%s); it is put down in quarantine.", self._source.name, reason)
        with self._context.pool.connection() as connection:
            record_quarantine(
                connection,
                sender,
                sop_class_uid=None,
                sop_instance_uid=None,
                digest=None,
                reason=f"The archive calls it {instance} and cannot give it: {reason}.",
                status=PROCESSING_FAILURE,
                now=self._context.now(),
            )

    def _hang_up(self, silent_since: datetime | None = None) -> None:
        """End the association that what came in is of; it lasts as long as instances come without a pause."""
        if self._sender is None or (silent_since is not None and self._heard_at > silent_since):
            return
        try:
            with self._context.pool.connection() as connection:
                close_association(connection, self._sender.association_id, "released", self._context.now())
        except (psycopg.OperationalError, PoolTimeout):
            return  # its silence will do
        self._sender = None

    def _say(self, trouble: str | None) -> None:
        """Into the log, when it changes."""
        if trouble != self._trouble:
            if trouble is None:
                _log.info("%s is read again.", self._source.name)
            else:
                _log.warning("%s cannot be read: %s. It is tried again.", self._source.name, trouble)
        self._trouble = trouble


def _passes(error: Exception) -> bool:
    """Whether it is nothing about this instance: the archive, the ledger or the disk fails others as well."""
    return status_of(error) == OUT_OF_RESOURCES and not isinstance(error, Unobtainable)


def _told(error: BaseException) -> str:
    """In words; the text of a stranger's exception may quote a header, so its kind is all that is said."""
    return str(error).rstrip(".") if isinstance(error, NightjarError) else type(error).__name__
