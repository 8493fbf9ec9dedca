"""What a notification says, whichever way it goes: of the patient, only what the site lets that receiver have."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from models.prediction import Urgency
from services.ledger.notifications import NotificationFacts
from services.notification_settings import Notification

_NAMESPACE = uuid.UUID("5b0b0a5e-7a3c-4f0e-9d8f-6f2b3c8e1a47")


@dataclass(frozen=True)
class Flag:
    """A suspected finding above its operating point."""

    label: str
    volume_ml: float
    urgency: Urgency


@dataclass(frozen=True)
class Announcement:
    """One answer, told to one receiver.

    Attributes:
        id: the same however often it is sent; receivers know a repetition by it.
        is_test: sent by hand to try the receiver; about no study.
        study: what pages call the study; not its UID.
        link: address of the study's page, or None.
        analysed_at: when the answer was committed.
        patient_id, patient_name, accession_number, study_uid: None unless the site includes them; names as DICOM's PN.
    """

    id: uuid.UUID
    is_test: bool
    urgency: Urgency
    model: str
    model_version: str
    flags: tuple[Flag, ...]
    study: str
    link: str | None
    analysed_at: datetime
    patient_id: str | None = None
    patient_name: str | None = None
    accession_number: str | None = None
    study_uid: str | None = None


def announce(facts: NotificationFacts, receiver: Notification) -> Announcement:
    """What a receiver is told of an answer."""
    shown = {name: getattr(facts, name) for name in receiver.include}
    return Announcement(
        id=uuid.uuid5(_NAMESPACE, f"{facts.answer} {receiver.name}"),
        is_test=False,
        urgency=Urgency(facts.urgency),
        model=facts.model,
        model_version=facts.model_version,
        flags=tuple(Flag(label, volume_ml, Urgency(urgency)) for label, volume_ml, urgency in facts.findings),
        study=facts.study_key,
        link=None if receiver.page_url is None else f"{receiver.page_url.rstrip('/')}/studies/{facts.study_key}",
        analysed_at=facts.analysed_at,
        **shown,
    )


def announce_test(receiver: Notification, now: datetime) -> Announcement:
    """An announcement about nothing, to try a receiver; it says so."""
    return Announcement(
        id=uuid.uuid4(),
        is_test=True,
        urgency=Urgency.STANDARD,
        model="none",
        model_version="0",
        flags=(),
        study="test",
        link=receiver.page_url,
        analysed_at=now,
        **dict.fromkeys(receiver.include, "TEST"),
    )
