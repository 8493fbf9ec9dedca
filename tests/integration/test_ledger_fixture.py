"""The fixtures other tests stand on: a real ledger of one's own, with its guard in place."""

import psycopg
import pytest

from services.context import Context
from services.ledger.database import migrate
from services.ledger.jobs import defer


def test_each_test_has_an_empty_ledger(context: Context) -> None:
    with context.pool.connection() as connection:
        assert connection.execute("SELECT count(*) AS n FROM event").fetchone() == {"n": 0}
        connection.execute("INSERT INTO study (study_uid) VALUES ('1.2')")


def test_migrating_twice_changes_nothing(database_url: str, context: Context) -> None:
    migrate(database_url)
    with context.pool.connection() as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("INSERT INTO study (study_uid, state) VALUES ('1.2', 'analysed')")


def test_a_waiting_job_for_the_same_identifier_is_enough(context: Context) -> None:
    with context.pool.connection() as connection:
        defer(connection, "assemble", "1.2.3")
        defer(connection, "assemble", "1.2.3")
        assert connection.execute("SELECT count(*) AS n FROM procrastinate_jobs").fetchone() == {"n": 1}
