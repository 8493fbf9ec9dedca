"""Every part says that it lives: a row rewritten every few seconds."""

import logging
import os
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from psycopg_pool import PoolTimeout

from services.ledger.database import Pool

PERIOD_S = 2.0
FRESH_S = 8.0

logger = logging.getLogger(__name__)


class Heartbeat:
    """Writes this process's row of `heartbeat` until closed, and then removes it.

    Args:
        detail: asked at every beat; what a part wants to say of itself (inference: models loaded).
    """

    def __init__(self, pool: Pool, part: str, detail: Callable[[], dict[str, Any]] = dict) -> None:
        self._pool, self._part, self._detail = pool, part, detail
        self._instance = f"{socket.gethostname()}:{os.getpid()}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name=f"heartbeat-{part}", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._beat()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        try:
            with self._pool.connection(timeout=2) as connection:
                connection.execute(
                    "DELETE FROM heartbeat WHERE part = %s AND instance = %s", [self._part, self._instance]
                )
        except (psycopg.OperationalError, PoolTimeout):
            return

    def _beat_on(self) -> None:
        while not self._stop.wait(PERIOD_S):
            try:
                self._beat()
            except (psycopg.OperationalError, PoolTimeout):
                logger.warning("The ledger does not answer; the next heartbeat follows in %s s.", PERIOD_S)

    def _beat(self) -> None:
        with self._pool.connection() as connection:
            connection.execute(
                """INSERT INTO heartbeat (part, instance, detail) VALUES (%s, %s, %s)
                   ON CONFLICT (part, instance) DO UPDATE SET at = clock_timestamp(), detail = excluded.detail""",
                [self._part, self._instance, Jsonb(self._detail())],
            )
            connection.execute("DELETE FROM heartbeat WHERE at < clock_timestamp() - interval '1 day'")
