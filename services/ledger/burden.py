"""What alarms cost: every answer of a time with its scores, who scanned, and what readers made of the flag."""

from dataclasses import dataclass
from datetime import datetime

from services.ledger.database import Connection
from services.ledger.opinions import Verdict, dismissal, read_opinions


@dataclass(frozen=True)
class AnswerFacts:
    """One answer of a model on one study; no patient data.

    Attributes:
        scanner: maker and model as its images name them, or the sender's AE title.
        probabilities: of every label, calibrated, whether or not it was flagged.
        flagged: labels of its findings.
        dismissed: the reason a reader gave last, or None.
        agreed: whether somebody's standing opinion agrees.
    """

    study_uid: str
    model: str
    model_version: str
    scanner: str
    protocol: str
    probabilities: dict[str, float]
    flagged: frozenset[str]
    dismissed: str | None
    agreed: bool


def read_answers(connection: Connection, since: datetime) -> list[AnswerFacts]:
    """Answers given after `since` that still stand, and superseded ones left out."""
    rows = connection.execute(
        """SELECT a.id, a.study_uid, a.model, a.model_version, a.probabilities,
                  array(SELECT f.label FROM finding f WHERE f.analysis_id = a.id) AS flagged,
                  s.attributes ->> 'Manufacturer' AS maker, s.attributes ->> 'ManufacturerModelName' AS machine,
                  s.attributes ->> 'ProtocolName' AS protocol,
                  (SELECT o.calling_ae FROM instance i JOIN association o ON o.id = i.association_id
                   WHERE i.series_uid = s.series_uid LIMIT 1) AS sender
           FROM analysis a
           LEFT JOIN LATERAL (SELECT value FROM jsonb_each_text(a.inputs) ORDER BY key LIMIT 1) AS input ON true
           LEFT JOIN series s ON s.series_uid = input.value
           WHERE a.state = 'analysed' AND a.analysed_at > %s ORDER BY a.id""",
        [since],
    ).fetchall()
    opinions = read_opinions(connection, list({row["study_uid"] for row in rows}))
    answers = []
    for row in rows:
        said = opinions.get(row["id"], ())
        dismissed = dismissal(said)
        answers.append(
            AnswerFacts(
                study_uid=row["study_uid"],
                model=row["model"],
                model_version=row["model_version"],
                scanner=" ".join(filter(None, (row["maker"], row["machine"]))) or row["sender"] or "not named",
                protocol=row["protocol"] or "not named",
                probabilities=row["probabilities"],
                flagged=frozenset(row["flagged"]),
                dismissed=dismissed.reason.words if dismissed is not None and dismissed.reason is not None else None,
                agreed=any(opinion.verdict is Verdict.AGREE for opinion in said),
            )
        )
    return answers
