"""Connections to the ledger's Postgres, and its schema."""

from importlib.resources import files
from typing import Any

import procrastinate
import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from services.errors import SettingsError

Connection = psycopg.Connection[DictRow]
Pool = ConnectionPool[Connection]

SCHEMA_VERSION = 8

NOTICE_SOON = {
    "connect_timeout": 10,
    "keepalives_idle": 3,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8000,
}
"""A database that the network has swallowed is noticed within 10 s; TCP by itself takes a quarter of an hour."""


def open_pool(url: str, *, size: int = 4) -> Pool:
    """Open a pool of connections with dictionary rows.

    Raises:
        SettingsError: the database cannot be reached; the message leaves the password out.
    """
    pool: Pool = ConnectionPool(
        url,
        min_size=1,
        max_size=size,
        open=False,
        kwargs={"row_factory": dict_row, **NOTICE_SOON},
        connection_class=psycopg.Connection,
    )
    try:
        pool.open(wait=True, timeout=20)
    except psycopg.Error as error:
        pool.close()
        raise SettingsError(f"database.url: the database at {_without_password(url)} does not answer.") from error
    return pool


def connect(url: str, **options: Any) -> Connection:
    """Open one connection with dictionary rows."""
    return psycopg.connect(url, row_factory=dict_row, **{**NOTICE_SOON, **options})


def migrate(url: str) -> None:
    """Create the schema in an empty database, bring an older one up to date, leave a current one alone.

    Safe when several parts start at once.

    Raises:
        SettingsError: the ledger belongs to a newer Nightjar.
    """
    with connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(762134)")
        connection.execute("CREATE TABLE IF NOT EXISTS ledger_schema (version integer NOT NULL)")
        row = connection.execute("SELECT version FROM ledger_schema").fetchone()
        if row is None:
            # Procrastinate's own connection sees its schema only after this transaction; psycopg runs both here.
            connection.execute(procrastinate.schema.SchemaManager.get_schema().encode())
            connection.execute(files("services.ledger").joinpath("schema.sql").read_bytes())
            connection.execute("INSERT INTO ledger_schema VALUES (%s)", [SCHEMA_VERSION])
        elif row["version"] > SCHEMA_VERSION:
            raise SettingsError(
                f"database.url: the ledger has schema {row['version']}; this Nightjar knows {SCHEMA_VERSION}. Install "
                "the Nightjar that wrote it, or a newer one."
            )
        else:
            for version in range(row["version"], SCHEMA_VERSION):
                upgrade = files("services.ledger").joinpath(f"upgrade_{version}_to_{version + 1}.sql")
                connection.execute(upgrade.read_bytes())
            connection.execute("UPDATE ledger_schema SET version = %s", [SCHEMA_VERSION])


def _without_password(url: str) -> str:
    details = psycopg.conninfo.conninfo_to_dict(url)
    return f"{details.get('host', 'localhost')}:{details.get('port', 5432)}/{details.get('dbname', '')}"
