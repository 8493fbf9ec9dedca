"""What readers say of an answer: agree, or disagree for a reason. Some reasons dismiss the flag."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.ledger.database import Connection
from services.ledger.jobs import defer, record_event


class Verdict(StrEnum):
    AGREE = "agree"
    DISAGREE = "disagree"
    WITHDRAWN = "withdrawn"


class Reason(StrEnum):
    """Why somebody disagrees; the value is the ledger's."""

    FALSE_POSITIVE = "false_positive"
    KNOWN = "known"
    ARTEFACT = "artefact"
    WRONG_TYPE = "wrong_type"
    WRONG_EXTENT = "wrong_extent"
    MISSED = "missed"

    @property
    def words(self) -> str:
        return _WORDS[self]

    @property
    def dismisses(self) -> bool:
        """Whether a flag raised for this answer needs nobody's attention any more."""
        return self in (Reason.FALSE_POSITIVE, Reason.KNOWN, Reason.ARTEFACT)


_WORDS = {
    Reason.FALSE_POSITIVE: "False positive",
    Reason.KNOWN: "Known finding",
    Reason.ARTEFACT: "Artefact",
    Reason.WRONG_TYPE: "Wrong type",
    Reason.WRONG_EXTENT: "Wrong outline or volume",
    Reason.MISSED: "Missed finding",
}
_EVENTS = {Verdict.AGREE: "agreed with", Verdict.DISAGREE: "disagreed with", Verdict.WITHDRAWN: "opinion withdrawn"}


@dataclass(frozen=True)
class Opinion:
    """The opinion of one account on one analysis as it stands."""

    account: str
    verdict: Verdict
    reason: Reason | None
    at: datetime


def dismissal(opinions: Sequence[Opinion]) -> Opinion | None:
    """The latest opinion when it dismisses the flag, else None.

    Args:
        opinions: those that stand, oldest first.
    """
    last = opinions[-1] if opinions else None
    return last if last is not None and last.reason is not None and last.reason.dismisses else None


def say(
    connection: Connection,
    study_uid: str,
    analysis_id: int,
    account: str,
    verdict: Verdict,
    reason: Reason | None = None,
) -> None:
    """Append an opinion and its event, and ask whether somebody should correct the answer now.

    A disagreement has a reason, nothing else has.
    """
    connection.execute(
        "INSERT INTO opinion (study_uid, analysis_id, account, verdict, reason) VALUES (%s, %s, %s, %s, %s)",
        [study_uid, analysis_id, account, verdict, reason],
    )
    detail = {"reason": f"{reason.words}."} if reason else {}
    record_event(connection, "analysis", analysis_id, _EVENTS[verdict], study_uid=study_uid, account=account, **detail)
    if verdict is Verdict.DISAGREE:
        defer(connection, "select", analysis_id)


def read_opinions(connection: Connection, study_uids: Sequence[str]) -> dict[int, tuple[Opinion, ...]]:
    """Opinions that stand, by analysis, oldest first: the latest of each account unless withdrawn."""
    latest: dict[int, dict[str, Opinion]] = defaultdict(dict)
    for row in connection.execute(
        "SELECT analysis_id, account, verdict, reason, at FROM opinion WHERE study_uid = ANY(%s) ORDER BY id",
        [list(study_uids)],
    ):
        said = latest[row["analysis_id"]]
        said.pop(row["account"], None)
        verdict = Verdict(row["verdict"])
        if verdict is not Verdict.WITHDRAWN:
            reason = Reason(row["reason"]) if row["reason"] else None
            said[row["account"]] = Opinion(row["account"], verdict, reason, row["at"])
    return {analysis: tuple(said.values()) for analysis, said in latest.items()}
