"""What is held, by Study, Series and SOP Instance UID: instances as received and results as written, for DICOMweb."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.ledger.database import Connection


@dataclass(frozen=True)
class Condition:
    """A piece of SQL with its values; columns belong to `study`, `held_series` or `held_instance`."""

    sql: str
    values: Sequence[Any] = ()


@dataclass(frozen=True)
class Found:
    """One match of a search.

    Attributes:
        values: by the ledger's column names; patient data among them.
        attributes: of an instance, by DICOM keyword.
        digest: storage key of an instance that belongs to it.
    """

    values: Mapping[str, Any]
    digest: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """Where one instance lies, and what it is."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    digest: str


STUDY = (
    "study.study_uid, study.patient_id, study.patient_name, study.patient_birth_date, study.patient_sex, "
    "study.accession_number, study.study_id, study.description AS study_description, study.study_date, "
    "study.study_time, study.referring_physician"
)
SERIES = (
    "held_series.series_uid, held_series.modality, held_series.description AS series_description, "
    "held_series.body_part, held_series.series_number, held_series.instances AS series_instances"
)
INSTANCE = "held_instance.sop_instance_uid, held_instance.sop_class_uid, held_instance.transfer_syntax_uid"


def find_studies(connection: Connection, conditions: Sequence[Condition], limit: int, offset: int) -> list[Found]:
    """Studies, the latest first."""
    rows = connection.execute(
        f"""SELECT study.*, counted.*, (
                SELECT digest FROM held_instance WHERE held_instance.study_uid = study.study_uid LIMIT 1) AS digest
            FROM (SELECT {STUDY} FROM study WHERE {_where(conditions)} AND EXISTS (
                      SELECT FROM series WHERE series.study_uid = study.study_uid AND instances > 0)
                  ORDER BY study_date DESC NULLS LAST, study_time DESC NULLS LAST, study_uid
                  LIMIT %s OFFSET %s) AS study
            CROSS JOIN LATERAL (
                SELECT count(*) AS study_series, sum(instances)::bigint AS study_instances,
                       array_agg(DISTINCT modality ORDER BY modality) FILTER (WHERE modality IS NOT NULL) AS modalities
                FROM held_series WHERE held_series.study_uid = study.study_uid) AS counted
            ORDER BY study_date DESC NULLS LAST, study_time DESC NULLS LAST, study_uid""".encode(),
        [*_values(conditions), limit, offset],
    ).fetchall()
    return [Found(row, row["digest"]) for row in rows]


def find_series(connection: Connection, conditions: Sequence[Condition], limit: int, offset: int) -> list[Found]:
    """Series in the scanner's order, study by study."""
    rows = connection.execute(
        f"""SELECT {STUDY}, {SERIES}, (
                SELECT digest FROM held_instance WHERE held_instance.series_uid = held_series.series_uid LIMIT 1
            ) AS digest
            FROM held_series JOIN study USING (study_uid) WHERE {_where(conditions)}
            ORDER BY study_uid, series_number NULLS LAST, series_uid LIMIT %s OFFSET %s""".encode(),
        [*_values(conditions), limit, offset],
    ).fetchall()
    return [Found(row, row["digest"]) for row in rows]


def find_instances(connection: Connection, conditions: Sequence[Condition], limit: int, offset: int) -> list[Found]:
    """Instances in the scanner's order, series by series."""
    rows = connection.execute(
        f"""SELECT {STUDY}, {SERIES}, {INSTANCE}, held_instance.digest, held_instance.attributes
            FROM held_instance JOIN held_series USING (study_uid, series_uid) JOIN study USING (study_uid)
            WHERE {_where(conditions)}
            ORDER BY study_uid, series_number NULLS LAST, series_uid,
                     CASE WHEN jsonb_typeof(held_instance.attributes -> 'InstanceNumber') = 'number'
                          THEN (held_instance.attributes ->> 'InstanceNumber')::numeric END NULLS LAST,
                     sop_instance_uid
            LIMIT %s OFFSET %s""".encode(),
        [*_values(conditions), limit, offset],
    ).fetchall()
    return [Found(row, row["digest"], row["attributes"]) for row in rows]


def list_held(
    connection: Connection, study_uid: str, series_uid: str | None = None, sop_instance_uid: str | None = None
) -> list[Held]:
    """The instances of a study, of one of its series, or one of them; empty when there is no such thing."""
    conditions = [
        Condition(f"held_instance.{column} = %s", [value])
        for column, value in (
            ("study_uid", study_uid),
            ("series_uid", series_uid),
            ("sop_instance_uid", sop_instance_uid),
        )
        if value is not None
    ]
    return [
        Held(
            study_uid=found.values["study_uid"],
            series_uid=found.values["series_uid"],
            sop_instance_uid=found.values["sop_instance_uid"],
            sop_class_uid=found.values["sop_class_uid"],
            transfer_syntax_uid=found.values["transfer_syntax_uid"],
            digest=found.digest,
        )
        for found in find_instances(connection, conditions, limit=2**31 - 1, offset=0)
    ]


def _where(conditions: Sequence[Condition]) -> str:
    return " AND ".join(f"({condition.sql})" for condition in conditions) or "true"


def _values(conditions: Sequence[Condition]) -> list[Any]:
    return [value for condition in conditions for value in condition.values]
