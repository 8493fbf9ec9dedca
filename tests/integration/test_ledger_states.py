"""The table of transitions is the law: every legal move works and writes its event, every other one is refused."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from services.ledger import workitems
from services.ledger.database import Connection, Pool, migrate
from services.ledger.workitems import Cause, NewWorkitem, State

Move = Callable[[Connection, str], None]

STATES = {
    "study": ("receiving", "analysing", "analysed", "not_applicable", "failed", "parked"),
    "series": ("receiving", "complete", "incomplete"),
    "analysis": ("queued", "running", "analysed", "failed", "superseded"),
    "delivery": ("pending", "delivered", "parked", "cancelled"),
    "notification": ("pending", "delivered", "parked", "cancelled"),
    "workitem": tuple(State),
}
KEYS = {
    "study": "study_uid",
    "series": "series_uid",
    "analysis": "id",
    "delivery": "id",
    "notification": "id",
    "workitem": "id",
}


def make_rows(connection: Connection) -> dict[str, Any]:
    """One row of each entity in its first state; returns their keys."""
    connection.execute("INSERT INTO study (study_uid) VALUES ('1.2')")
    connection.execute("INSERT INTO series (series_uid, study_uid) VALUES ('1.2.3', '1.2')")
    analysis = connection.execute(
        """INSERT INTO analysis (study_uid, model, model_version, weights_digest, inputs, input_digest)
           VALUES ('1.2', 'ich', '1', 'w', '{}', 'i') RETURNING id"""
    ).fetchone()
    assert analysis is not None
    result = connection.execute(
        """INSERT INTO result
               (study_uid, analysis_id, kind, sop_class_uid, sop_instance_uid, series_uid, digest, size_bytes)
           VALUES ('1.2', %s, 'sr', '1', '1.9', '1.8', 'd', 1) RETURNING id""",
        [analysis["id"]],
    ).fetchone()
    assert result is not None
    delivery = connection.execute(
        "INSERT INTO delivery (result_id, destination) VALUES (%s, 'pacs') RETURNING id", [result["id"]]
    ).fetchone()
    assert delivery is not None
    notification = connection.execute(
        """INSERT INTO notification (study_uid, analysis_id, destination, kind) VALUES ('1.2', %s, 'ris', 'hl7')
           RETURNING id""",
        [analysis["id"]],
    ).fetchone()
    assert notification is not None
    workitem = workitems.create(connection, NewWorkitem("1.2", "1.2.3", "ich", Cause.HAND, analysis["id"]))
    return {
        "study": "1.2",
        "series": "1.2.3",
        "analysis": analysis["id"],
        "delivery": delivery["id"],
        "notification": notification["id"],
        "workitem": workitem,
    }


def force(connection: Connection, entity: str, key: Any, state: str) -> None:
    """Put a row into a state without asking the guard, as a starting point."""
    connection.execute("SET LOCAL session_replication_role = replica")
    connection.execute(f"UPDATE {entity} SET state = %s WHERE {KEYS[entity]} = %s", [state, key])
    connection.execute("SET LOCAL session_replication_role = origin")


@pytest.mark.parametrize("entity", STATES)
def test_every_pair_of_states(pool: Pool, entity: str) -> None:
    with pool.connection() as connection:
        legal = {
            (row["source"], row["target"])
            for row in connection.execute("SELECT * FROM transition WHERE entity = %s", [entity]).fetchall()
        }
        assert {state for pair in legal for state in pair if state} == set(STATES[entity])
        key = make_rows(connection)[entity]
        for source in STATES[entity]:
            for target in STATES[entity]:
                if source == target:
                    continue
                force(connection, entity, key, source)
                before = last_event(connection, entity)
                if (source, target) in legal:
                    move(connection, entity, key, target)
                    after = last_event(connection, entity)
                    assert after["id"] > before["id"]
                    assert (after["detail"]["from"], after["detail"]["to"]) == (source, target)
                    assert after["study_uid"] == "1.2"
                else:
                    with pytest.raises(psycopg.errors.CheckViolation, match="cannot go from"), connection.transaction():
                        move(connection, entity, key, target)
                    assert last_event(connection, entity)["id"] == before["id"]


@pytest.mark.parametrize(("entity", "state"), [("study", "analysed"), ("series", "complete")])
def test_nothing_is_born_in_a_later_state(pool: Pool, entity: str, state: str) -> None:
    with pool.connection() as connection:
        connection.execute("INSERT INTO study (study_uid) VALUES ('7')")
        columns, values = ("study_uid", ["8"]) if entity == "study" else ("series_uid, study_uid", ["7.1", "7"])
        marks = ", ".join(["%s"] * len(values))
        with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
            connection.execute(f"INSERT INTO {entity} ({columns}, state) VALUES ({marks}, %s)", [*values, state])


@pytest.mark.parametrize("table", ["event", "audit", "opinion"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET at = now()"])
def test_history_is_append_only(pool: Pool, table: str, change: str) -> None:
    with pool.connection() as connection:
        connection.execute("INSERT INTO event (entity, entity_id, kind) VALUES ('study', '1', 'test')")
        connection.execute("INSERT INTO audit (action) VALUES ('sign-in')")
        keys = make_rows(connection)
        connection.execute(
            "INSERT INTO opinion (study_uid, analysis_id, account, verdict) VALUES (%s, %s, 'ana', 'agree')",
            [keys["study"], keys["analysis"]],
        )
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"), connection.transaction():
            connection.execute(change.format(table))


@pytest.mark.parametrize(
    ("verdict", "reason", "legal"),
    [
        ("agree", None, True),
        ("disagree", "artefact", True),
        ("withdrawn", None, True),
        ("agree", "artefact", False),
        ("disagree", None, False),
        ("disagree", "because", False),
        ("maybe", None, False),
    ],
)
def test_only_a_disagreement_has_a_reason_and_a_known_one(
    pool: Pool, verdict: str, reason: str | None, legal: bool
) -> None:
    with pool.connection() as connection:
        keys = make_rows(connection)
        insert = (
            "INSERT INTO opinion (study_uid, analysis_id, account, verdict, reason) VALUES (%s, %s, 'ana', %s, %s)",
            [keys["study"], keys["analysis"], verdict, reason],
        )
        if legal:
            connection.execute(*insert)
        else:
            with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
                connection.execute(*insert)


def test_a_state_change_tells_the_pages(pool: Pool, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN nightjar_worklist")
        with pool.connection() as connection:
            connection.execute("INSERT INTO study (study_uid) VALUES ('1.2')")
        notices = list(listener.notifies(timeout=10, stop_after=1))
    assert [notice.payload for notice in notices] == ["1.2"]


def test_migrating_twice_changes_nothing(database_url: str, pool: Pool) -> None:
    with pool.connection() as connection:
        connection.execute("INSERT INTO study (study_uid) VALUES ('1.2')")
    migrate(database_url)
    with pool.connection() as connection:
        assert connection.execute("SELECT study_uid FROM study").fetchall() == [{"study_uid": "1.2"}]


def move(connection: Connection, entity: str, key: Any, target: str) -> None:
    connection.execute(f"UPDATE {entity} SET state = %s WHERE {KEYS[entity]} = %s", [target, key])


def last_event(connection: Connection, entity: str) -> dict[str, Any]:
    row = connection.execute("SELECT * FROM event WHERE entity = %s ORDER BY id DESC LIMIT 1", [entity]).fetchone()
    assert row is not None
    return row
