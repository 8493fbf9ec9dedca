"""Answers that nobody corrects yet, with what is known of them before anybody looks."""

from dataclasses import dataclass
from typing import Any

from services.ledger.database import Connection


@dataclass(frozen=True)
class CandidateFacts:
    """An answer of a model that stands and has no workitem of a task.

    Attributes:
        inputs: the series it answered, by role.
        patient: a key of the patient's.
        overlaps: by label, Dice with the version in shadow that answered last; None where none did.
        worst_grade: of the study's images by any reader; None: not graded.
        has_conflict: other bytes came under the UID of one of its images.
    """

    analysis_id: int
    study_uid: str
    inputs: dict[str, str]
    patient: str
    scanner: str
    marks: bool
    slice_probabilities: dict[str, list[float]]
    overlaps: dict[str, float | None] | None
    worst_grade: int | None
    has_conflict: bool


def read_candidates(connection: Connection, model: str, task: str, grid: str) -> list[CandidateFacts]:
    """Answers of `model` on a series in the role `grid` whose study has no workitem of `task`, the oldest first."""
    rows = connection.execute(
        """SELECT a.id, a.study_uid, a.inputs, a.slice_probabilities,
                  md5(coalesce(t.patient_id, a.study_uid)) AS patient,
                  concat_ws(' ', s.attributes ->> 'Manufacturer', s.attributes ->> 'ManufacturerModelName') AS scanner,
                  EXISTS (SELECT FROM finding f WHERE f.analysis_id = a.id) AS marks,
                  (SELECT h.labels FROM shadow_answer h WHERE h.analysis_id = a.id AND h.failure IS NULL
                   ORDER BY h.id DESC LIMIT 1) AS shadow,
                  (SELECT min(q.value) FROM image_quality q JOIN workitem w ON w.id = q.workitem_id
                   WHERE w.study_uid = a.study_uid) AS worst_grade,
                  EXISTS (SELECT FROM instance i WHERE i.series_uid = s.series_uid AND i.conflict) AS has_conflict
           FROM analysis a JOIN study t ON t.study_uid = a.study_uid
           JOIN series s ON s.series_uid = a.inputs ->> %(grid)s
           WHERE a.state = 'analysed' AND a.model = %(model)s
             AND NOT EXISTS (SELECT FROM workitem w WHERE w.study_uid = a.study_uid AND w.task = %(task)s
                             AND w.purpose = 'work')
             AND NOT EXISTS (SELECT FROM reference_case r WHERE r.study_uid = a.study_uid AND r.task = %(task)s)
           ORDER BY a.id""",
        {"model": model, "task": task, "grid": grid},
    ).fetchall()
    return [
        CandidateFacts(
            analysis_id=row["id"],
            study_uid=row["study_uid"],
            inputs=row["inputs"],
            patient=row["patient"],
            scanner=row["scanner"].strip(),
            marks=row["marks"],
            slice_probabilities=row["slice_probabilities"] or {},
            overlaps=_overlaps(row["shadow"]),
            worst_grade=row["worst_grade"],
            has_conflict=row["has_conflict"],
        )
        for row in rows
    ]


def _overlaps(labels: dict[str, Any] | None) -> dict[str, float | None] | None:
    return None if labels is None else {name: found["dice"] for name, found in labels.items()}
