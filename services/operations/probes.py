"""The small HTTP port of a part: /metrics, /healthz and /readyz. No sign-in, so no patient data."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from services.errors import SettingsError
from services.settings import MetricsSettings

SILENT_S = 60.0


def _starting() -> str | None:
    return "It is starting."


@dataclass
class Health:
    """What a part says of itself when a probe asks.

    Attributes:
        why_not_ready: a sentence, or None when work may come.
        ending: set once the part was asked to end; what waits for something gives up waiting.
    """

    why_not_ready: Callable[[], str | None] = _starting
    ending: threading.Event = field(default_factory=threading.Event)
    _clock: Callable[[], float] = time.monotonic
    _beaten_at: float | None = field(default=None, init=False)

    def beat(self) -> None:
        """Say that the part's main loop turns; from the first time on it is expected to go on."""
        self._beaten_at = self._clock()

    def why_not_alive(self) -> str | None:
        """A sentence once the main loop stands still."""
        if self._beaten_at is None or self._clock() - self._beaten_at < SILENT_S:
            return None
        return f"The main loop has not turned for {SILENT_S:g} s."


@contextmanager
def serve_probes(settings: MetricsSettings, health: Health, registry: CollectorRegistry) -> Iterator[None]:
    """Answer on `metrics.port`, in threads of its own, until the block ends; nothing when no port is set.

    Raises:
        SettingsError: the address cannot be bound.
    """
    if settings.port is None:
        yield
        return
    try:
        server = _Server((settings.host, settings.port), _handler(health, registry))
    except OSError as error:
        raise SettingsError(
            f"metrics.port = {settings.port}: cannot listen on {settings.host}:{settings.port}: {error.strerror}."
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="probes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a slow scraper must not keep the part from ending


def _handler(health: Health, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "nightjar", ""
        timeout = 30.0

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif self.path == "/healthz":
                self._say(health.why_not_alive())
            elif self.path == "/readyz":
                self._say(health.why_not_ready())
            else:
                self._answer(404, "text/plain", b"There are /metrics, /healthz and /readyz.\n")

        def _say(self, wrong: str | None) -> None:
            self._answer(503 if wrong else 200, "text/plain; charset=utf-8", f"{wrong or 'ok'}\n".encode())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Probes come every few seconds and say nothing."""

    return Handler
