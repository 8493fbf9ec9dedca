"""Tells open pages that their list changed. One LISTEN connection a process; what changed is asked for over HTTP."""

import asyncio
import json
import logging
import secrets
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import psycopg
from psycopg_pool import PoolTimeout
from sse_starlette import EventSourceResponse

from services.ledger.database import Pool, connect
from services.ledger.workitems import CHANNEL as REVIEW
from services.ledger.worklist import CHANNEL, inference_alive

CHANNELS = (CHANNEL, REVIEW)
BEAT = timedelta(seconds=2)
# The first change of a burst, such as a series' instances, is told at once; those that follow within this become one.
COALESCE = timedelta(milliseconds=100)
RECONNECT = timedelta(seconds=1)
FAREWELL_S = 2
"""How long a stream may take to end by itself when the process does; less than `app.SHUTDOWN_S`."""

logger = logging.getLogger(__name__)


class LiveFeed:
    """Counts the ledger's changes and lets streams wait for the next.

    A stream is level-triggered: every message carries the version of the ledger's state, and a page that holds another
    version refetches, so a lost message costs one beat and never a row.
    """

    def __init__(self, pool: Pool) -> None:
        if not isinstance(pool.conninfo, str):
            raise TypeError("The pool must know its database by a string.")
        self._pool, self._url = pool, pool.conninfo
        self._boot = secrets.token_hex(4)
        self._counts = dict.fromkeys(CHANNELS, 0)
        self._inference_alive = False
        self._listening = False
        self._closed = threading.Event()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._listen, name="worklist-listen", daemon=True),
            threading.Thread(target=self._watch_inference, name="worklist-inference", daemon=True),
        ]

    def version(self, channel: str = CHANNEL) -> str:
        """Changes with every change that a channel tells of and with every start of this process."""
        return f"{self._boot}.{self._counts[channel]}"

    @property
    def inference_alive(self) -> bool:
        return self._inference_alive

    def start(self) -> None:
        self._inference_alive = self._ask_inference()
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the threads and every stream; safe to call twice and from any thread."""
        self._closed.set()
        self._wake()

    def stream(self, channel: str = CHANNEL) -> EventSourceResponse:
        """`messages` as server-sent events. They end with the process, whole, and are never cut off in between."""
        return EventSourceResponse(self.messages(channel), ping=3, send_timeout=10, shutdown_grace_period=FAREWELL_S)

    async def messages(self, channel: str = CHANNEL) -> AsyncIterator[str]:
        """Messages for one page: the state at once, after every change, and at least every beat. Ends with `close`."""
        changed = asyncio.Event()
        waiter = (asyncio.get_running_loop(), changed)
        with self._lock:
            self._waiters.add(waiter)
        try:
            while not self._closed.is_set():
                changed.clear()
                # Without its LISTEN connection this process may miss changes: it falls silent, and pages say so.
                if self._listening:
                    yield json.dumps({"version": self.version(channel), "ai": self._inference_alive})
                await asyncio.sleep(COALESCE.total_seconds())
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), BEAT.total_seconds())
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def _changed(self, *channels: str) -> None:
        for channel in channels:
            self._counts[channel] += 1
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            for loop, event in self._waiters:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                with connect(self._url, autocommit=True) as connection:
                    for channel in CHANNELS:
                        connection.execute(f"LISTEN {channel}".encode())
                    self._listening = True
                    self._changed(*CHANNELS)  # whatever happened while nobody listened
                    while not self._closed.is_set():
                        for notice in connection.notifies(timeout=0.5, stop_after=1):
                            self._changed(notice.channel)
            except psycopg.OperationalError:
                logger.warning("The ledger's notifications stopped; listening again in %s.", RECONNECT)
                self._closed.wait(RECONNECT.total_seconds())
            finally:
                self._listening = False

    def _watch_inference(self) -> None:
        while not self._closed.wait(BEAT.total_seconds()):
            alive = self._ask_inference()
            if alive != self._inference_alive:
                self._inference_alive = alive
                self._changed(CHANNEL)

    def _ask_inference(self) -> bool:
        try:
            with self._pool.connection(timeout=BEAT.total_seconds()) as connection:
                return inference_alive(connection)
        except (psycopg.OperationalError, PoolTimeout):
            return self._inference_alive
