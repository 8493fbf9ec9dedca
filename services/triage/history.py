"""A study's events as a person reads them. Pure."""

from dataclasses import dataclass
from datetime import datetime

from services.ledger.worklist import EventFacts, StudyRecord

_STATES = {
    ("study", "receiving"): "Instances are arriving",
    ("study", "analysing"): "Analysis asked for",
    ("study", "analysed"): "Every analysis gave its answer",
    ("study", "not_applicable"): "Not analysed",
    ("study", "parked"): "Not analysed, set aside",
    ("study", "failed"): "Failed",
    ("series", "receiving"): "receiving",
    ("series", "complete"): "complete",
    ("series", "incomplete"): "closed incomplete",
    ("analysis", "queued"): "queued",
    ("analysis", "running"): "running",
    ("analysis", "analysed"): "answered",
    ("analysis", "failed"): "failed",
    ("analysis", "superseded"): "superseded",
    ("delivery", "pending"): "to be delivered",
    ("delivery", "delivered"): "delivered",
    ("delivery", "parked"): "not delivered, set aside",
    ("delivery", "cancelled"): "cancelled",
}


@dataclass(frozen=True)
class HistoryLine:
    """One thing that happened.

    Attributes:
        bad: whether somebody should care.
    """

    at: datetime
    text: str
    reason: str | None
    bad: bool


def describe_history(record: StudyRecord) -> tuple[HistoryLine, ...]:
    """The study's events, oldest first, with series and deliveries called by their names."""
    names = {
        ("series", series.series_uid): f"Series {series.series_number}"
        if series.series_number is not None
        else "A series"
        for series in record.series
    }
    names |= {
        ("delivery", str(delivery.id)): f"{delivery.kind.upper()} for {delivery.destination}"
        for delivery in record.deliveries
    }
    names |= {
        ("analysis", str(analysis.id)): f"{analysis.model} {analysis.model_version}"
        for analysis in record.study.analyses
    }
    return tuple(_line(event, names) for event in record.events)


def _line(event: EventFacts, names: dict[tuple[str, str], str]) -> HistoryLine:
    state = str(event.detail.get("to", ""))
    if event.kind == "state":
        words = _STATES.get((event.entity, state), state.replace("_", " "))
    else:
        words = event.kind.replace("_", " ")
    account = event.detail.get("account")
    if account is not None:
        words = f"{words} by {account}"
    if event.entity == "study":
        text = words[:1].upper() + words[1:]
    else:
        text = f"{names.get((event.entity, event.entity_id), f'An earlier {event.entity}')}: {words}"
    reason = event.detail.get("reason")
    return HistoryLine(
        at=event.at,
        text=text,
        reason=str(reason) if reason else None,
        bad=event.kind == "state" and state in ("failed", "parked", "incomplete"),
    )
