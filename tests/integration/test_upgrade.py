"""A ledger that the release before wrote, with data in it, under the code of today."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from support.ledger import shape

from dicom_router.explain import explain
from services.context import Context
from services.ledger import custody
from services.ledger.database import SCHEMA_VERSION, migrate, open_pool
from services.operations.metrics import LedgerCollector
from services.operations.status import collect_status

DUMP = Path(__file__).parents[1] / "data" / "ledger_6.sql"
STUDIES = [f"1.2.826.0.1.3680043.10.543.{number}" for number in (1, 2, 3)]


@pytest.fixture
def upgraded(postgres: str, context: Context) -> Iterator[Context]:
    """The old ledger, migrated, in a database of its own; the store is empty."""
    name = f"nightjar_upgrade_{os.getpid()}"
    with psycopg.connect(postgres.replace("{}", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = postgres.replace("{}", name)
    with psycopg.connect(url) as connection:
        connection.execute(DUMP.read_bytes())
    migrate(url)
    pool = open_pool(url, size=2)
    try:
        database = context.settings.database.model_copy(update={"url": url})
        yield replace(context, settings=context.settings.model_copy(update={"database": database}), pool=pool)
    finally:
        pool.close()
        with psycopg.connect(postgres.replace("{}", "postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_everything_that_was_there_is_there_and_work_goes_on(upgraded: Context, context: Context) -> None:
    with upgraded.pool.connection() as old, context.pool.connection() as new:
        assert shape(old) == shape(new)
        assert old.execute("SELECT version FROM ledger_schema").fetchall() == [{"version": SCHEMA_VERSION}]
        corrections = old.execute("SELECT study_uid, workitem_id FROM result WHERE kind = 'correction'").fetchall()
        assert corrections == [{"study_uid": STUDIES[0], "workitem_id": 1}]
        expired = old.execute("SELECT study_uid FROM study WHERE expired_at IS NOT NULL").fetchall()
        assert expired == [{"study_uid": STUDIES[1]}]
        studies_kept = {row["study_uid"] for row in custody.keys_since(old, None)}
        assert studies_kept == {STUDIES[0], STUDIES[2]}, "bytes that retention removed are not missing"
        assert old.execute("SELECT decision FROM consent ORDER BY id").fetchall() == [
            {"decision": "granted"}, {"decision": "hold"}
        ]  # fmt: skip
        assert old.execute("SELECT model, share FROM canary").fetchall() == [{"model": "ich", "share": 0.1}]
        assert old.execute("SELECT name, held FROM dataset_release").fetchall() == [
            {"name": "first", "held": {"no consent": 1}}
        ]
    status = collect_status(upgraded)
    assert status.studies == {"analysed": 1, "analysing": 1, "parked": 1}
    assert status.deliveries == {"delivered": 1, "parked": 1}
    assert (status.instances, status.quarantined) == (9, 1)
    assert {name for name, states in status.jobs.items() if states.get("todo")} >= {"route", "infer"}

    found = explain(upgraded.pool, STUDIES[0])
    [analysis] = found.analyses
    assert [finding["label"] for finding in analysis["findings"]] == ["IPH", "SAH"]
    assert {row["state"] for row in found.deliveries} == {"delivered", "parked"}
    assert explain(upgraded.pool, found.study["pseudonym"]).study["study_uid"] == STUDIES[0]
    assert any(metric.samples for metric in LedgerCollector(upgraded, ("worker",)).collect())

    since = datetime.now(UTC) - timedelta(days=1)
    with upgraded.pool.connection() as connection:
        assert custody.kept(connection, STUDIES[0], "pacs", since).results == {
            "2.25.1",
            "2.25.71",
            "2.25.81",
            "2.25.91",
        }
        connection.execute("UPDATE analysis SET state = 'running' WHERE state = 'queued'")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("UPDATE study SET state = 'not_applicable' WHERE state = 'parked'")
