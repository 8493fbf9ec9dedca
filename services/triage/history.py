"""A study's events as a person reads them. Pure."""

from dataclasses import dataclass
from datetime import datetime

from services.languages import gettext, mark
from services.languages.recorded import say_again
from services.languages.speaking import look_up
from services.ledger.worklist import EventFacts, StudyRecord
from services.triage.words import kind_words

_STATES = {
    ("study", "receiving"): mark("Instances are arriving"),
    ("study", "analysing"): mark("Analysis asked for"),
    ("study", "analysed"): mark("Every analysis gave its answer"),
    ("study", "not_applicable"): mark("Not analysed"),
    ("study", "parked"): mark("Not analysed, set aside"),
    ("study", "failed"): mark("Failed"),
    ("series", "receiving"): mark("receiving"),
    ("series", "complete"): mark("complete"),
    ("series", "incomplete"): mark("closed incomplete"),
    ("analysis", "queued"): mark("queued"),
    ("analysis", "running"): mark("running"),
    ("analysis", "analysed"): mark("answered"),
    ("analysis", "failed"): mark("failed"),
    ("analysis", "superseded"): mark("superseded"),
    ("delivery", "pending"): mark("to be delivered"),
    ("delivery", "delivered"): mark("delivered"),
    ("delivery", "parked"): mark("not delivered, set aside"),
    ("delivery", "cancelled"): mark("cancelled"),
    ("notification", "pending"): mark("to be sent"),
    ("notification", "delivered"): mark("taken"),
    ("notification", "parked"): mark("not taken, set aside"),
    ("notification", "cancelled"): mark("cancelled"),
}

_EARLIER = {
    "series": mark("An earlier series"),
    "analysis": mark("An earlier analysis"),
    "delivery": mark("An earlier delivery"),
    "notification": mark("An earlier notification"),
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
        ("series", series.series_uid): gettext("Series %(number)s", number=series.series_number)
        if series.series_number is not None
        else gettext("A series")
        for series in record.series
    }
    names |= {
        ("delivery", str(delivery.id)): gettext(
            "%(result)s for %(destination)s", result=kind_words(delivery.kind), destination=delivery.destination
        )
        for delivery in record.deliveries
    }
    names |= {
        ("notification", str(told.id)): gettext(
            "%(kind)s to %(destination)s", kind=kind_words(told.kind), destination=told.destination
        )
        for told in record.notifications
    }
    names |= {
        ("analysis", str(analysis.id)): f"{analysis.model} {analysis.model_version}"
        for analysis in record.study.analyses
    }
    return tuple(_line(event, names) for event in record.events)


def _line(event: EventFacts, names: dict[tuple[str, str], str]) -> HistoryLine:
    state = str(event.detail.get("to", ""))
    if event.kind == "state":
        words = look_up(_STATES.get((event.entity, state), state.replace("_", " ")))
    else:
        words = say_again(event.kind.replace("_", " "))
    account = event.detail.get("account")
    if account is not None:
        words = gettext("%(what)s by %(name)s", what=words, name=account)
    if event.entity == "study":
        text = words[:1].upper() + words[1:]
    else:
        earlier = look_up(_EARLIER.get(event.entity, event.entity))
        text = f"{names.get((event.entity, event.entity_id), earlier)}: {words}"
    reason = event.detail.get("reason")
    return HistoryLine(
        at=event.at,
        text=text,
        reason=str(reason) if reason else None,
        bad=event.kind == "state" and state in ("failed", "parked", "incomplete"),
    )
