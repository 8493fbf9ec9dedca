"""The fixtures other tests stand on: a real ledger of one's own, with its guard in place."""

import psycopg
import pytest
from support.ledger import shape

from services.context import Context
from services.errors import SettingsError
from services.ledger import results
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


def test_an_older_ledger_is_brought_up_to_date_and_its_answers_still_read(database_url: str, context: Context) -> None:
    with context.pool.connection() as connection:
        connection.execute("INSERT INTO study (study_uid) VALUES ('1.2')")
        connection.execute(
            """INSERT INTO analysis (study_uid, model, model_version, weights_digest, inputs, input_digest)
               VALUES ('1.2', 'ich', '0.1.0', 'w', '{}', 'd')"""
        )
        connection.execute(
            "INSERT INTO finding (analysis_id, label, probability, volume_ml, urgency, key_slice) "
            "SELECT id, 'IPH', 0.9, 12.5, 1, 3 FROM analysis"
        )
        connection.execute("UPDATE analysis SET state = 'running'")
        connection.execute(
            "UPDATE analysis SET state = 'analysed', segmentation_key = 's', analysed_at = clock_timestamp()"
        )
        new = shape(connection)
        # As version 1 was: what later versions added is not there.
        connection.execute("DROP TABLE source_position, commitment")
        connection.execute("ALTER TABLE account DROP COLUMN subject")
        connection.execute("DROP INDEX audit_at, audit_study")
        connection.execute("DROP TABLE audit_repository, audit_unsent")
        connection.execute("DROP FUNCTION keep_for_repository CASCADE")
        connection.execute(
            "DROP TABLE shadow_answer, promotion, canary, reconciliation, consent, dataset_release, drift_reference"
        )
        connection.execute("ALTER TABLE series DROP COLUMN role_score")
        connection.execute("DROP TABLE reader_study_preference, reader_study_rating, reader_study_image, reader_study")
        connection.execute("DROP VIEW held_instance, held_series")
        connection.execute(
            "ALTER TABLE result DROP COLUMN study_uid, DROP COLUMN workitem_id, ALTER COLUMN analysis_id SET NOT NULL"
        )
        connection.execute(
            "DROP TABLE admission, decision, agreement, conformance, image_quality, comment, annotation, reading, "
            "workitem, reference_case"
        )
        connection.execute("DROP FUNCTION tell_review")
        connection.execute("DELETE FROM transition WHERE entity = 'workitem'")
        connection.execute("ALTER TABLE account DROP COLUMN experienced_since")
        connection.execute("DROP TABLE notification")
        connection.execute("DELETE FROM transition WHERE entity = 'notification'")
        connection.execute("ALTER TABLE account DROP COLUMN language")
        connection.execute(
            "ALTER TABLE result DROP COLUMN transfer_syntax_uid, DROP COLUMN modality, DROP COLUMN series_number, "
            "DROP COLUMN series_description, DROP COLUMN attributes"
        )
        connection.execute("DROP INDEX result_analysis, result_series")
        connection.execute(
            "ALTER TABLE result DROP CONSTRAINT result_kind_check, ADD UNIQUE (analysis_id, kind), "
            "ADD CONSTRAINT result_kind_check CHECK (kind IN ('seg', 'sr'))"
        )
        connection.execute("ALTER TABLE association DROP COLUMN listener")
        connection.execute("DROP INDEX association_closed, study_unanswered, analysis_waiting, delivery_undelivered")
        connection.execute("DROP TABLE opinion, acknowledgement")
        connection.execute("DROP FUNCTION tell_listeners")
        connection.execute("DROP INDEX study_patient, study_accession")
        connection.execute(
            "ALTER TABLE study DROP COLUMN handed_over_by, DROP COLUMN pseudonym, DROP COLUMN expired_at"
        )
        connection.execute("ALTER TABLE analysis DROP COLUMN measurements, DROP COLUMN image_key, DROP COLUMN figures")
        connection.execute(
            "ALTER TABLE finding DROP COLUMN volume_low_ml, DROP COLUMN volume_high_ml, DROP COLUMN abc2_ml"
        )
        connection.execute("ALTER TABLE model DROP COLUMN fewest")
        connection.execute("UPDATE ledger_schema SET version = 1")

    migrate(database_url)

    with context.pool.connection() as connection:
        assert shape(connection) == new
        row = connection.execute("SELECT id FROM analysis").fetchone()
        assert row is not None
        answer = results.load(connection, row["id"])
    assert answer is not None
    assert answer.measurements == {}
    [finding] = answer.findings
    assert (finding.volume_ml, finding.volume_range_ml, finding.abc2_ml) == (12.5, None, None)


def test_a_newer_ledger_is_left_alone(database_url: str, context: Context) -> None:
    with context.pool.connection() as connection:
        connection.execute("UPDATE ledger_schema SET version = version + 1")
    with pytest.raises(SettingsError, match="Install the Nightjar that wrote it"):
        migrate(database_url)


def test_a_waiting_job_for_the_same_identifier_is_enough(context: Context) -> None:
    with context.pool.connection() as connection:
        defer(connection, "assemble", "1.2.3")
        defer(connection, "assemble", "1.2.3")
        assert connection.execute("SELECT count(*) AS n FROM procrastinate_jobs").fetchone() == {"n": 1}
