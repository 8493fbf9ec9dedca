"""Whether images may leave in a dataset: consent and holds, by patient or by study."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from services.ledger.database import Connection


class Consent(StrEnum):
    """What was decided. Granted and withdrawn follow each other, and so do hold and lifted."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"
    HOLD = "hold"
    LIFTED = "lifted"


@dataclass(frozen=True)
class ConsentEntry:
    """One decision, of a patient (as the study's Patient ID names them) or of a study: exactly one is given.

    Attributes:
        basis: what it rests on, such as a form or an ethics vote.
    """

    decision: Consent
    basis: str
    patient_id: str | None = None
    study_uid: str | None = None


@dataclass(frozen=True)
class Standing:
    """What counts for a study today, its patient's decisions and its own together."""

    granted: bool
    withdrawn: bool
    on_hold: bool


def record(connection: Connection, entries: Iterable[ConsentEntry], *, by: str) -> None:
    """Add decisions; nothing that was decided is changed."""
    for entry in entries:
        connection.execute(
            "INSERT INTO consent (patient_id, study_uid, decision, basis, recorded_by) VALUES (%s, %s, %s, %s, %s)",
            [entry.patient_id, entry.study_uid, entry.decision, entry.basis, by],
        )


def count_unknown(connection: Connection, entries: Iterable[ConsentEntry]) -> int:
    """How many entries name a patient or study that has not arrived."""
    named = list(entries)
    row = connection.execute(
        """SELECT (SELECT count(*) FROM unnest(%s::text[]) p WHERE NOT EXISTS (SELECT FROM study WHERE patient_id = p))
                + (SELECT count(*) FROM unnest(%s::text[]) s WHERE NOT EXISTS (SELECT FROM study WHERE study_uid = s))
                AS n""",
        [
            [entry.patient_id for entry in named if entry.patient_id is not None],
            [entry.study_uid for entry in named if entry.study_uid is not None],
        ],
    ).fetchone()
    return int(row["n"]) if row else 0


def of_study(connection: Connection, study_uid: str) -> Standing:
    """What counts for a study: withdrawn and on hold when either says so, granted when one of them does."""
    rows = connection.execute(
        """SELECT DISTINCT ON (c.patient_id, c.study_uid, kind) c.decision
           FROM (SELECT *, decision IN ('hold', 'lifted') AS kind FROM consent) c
           WHERE c.study_uid = %(study)s
              OR c.patient_id = (SELECT patient_id FROM study WHERE study_uid = %(study)s AND patient_id != '')
           ORDER BY c.patient_id, c.study_uid, kind, c.id DESC""",
        {"study": study_uid},
    ).fetchall()
    latest = {Consent(row["decision"]) for row in rows}
    return Standing(Consent.GRANTED in latest, Consent.WITHDRAWN in latest, Consent.HOLD in latest)
