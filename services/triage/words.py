"""Words that other packages choose and pages show: marked here, so that they have translations."""

from models.prediction import Urgency
from services.languages import gettext, mark
from services.languages.speaking import look_up
from services.ledger.accounts import Role
from services.ledger.opinions import Reason

URGENCIES = {
    Urgency.IMMEDIATE: mark("Immediate"),
    Urgency.URGENT: mark("Urgent"),
    Urgency.STANDARD: mark("Standard"),
}

REASONS = {
    Reason.FALSE_POSITIVE: mark("False positive"),
    Reason.KNOWN: mark("Known finding"),
    Reason.ARTEFACT: mark("Artefact"),
    Reason.WRONG_TYPE: mark("Wrong type"),
    Reason.WRONG_EXTENT: mark("Wrong outline or volume"),
    Reason.MISSED: mark("Missed finding"),
}

ROLES = {
    Role.RADIOLOGIST: mark("radiologist"),
    Role.ANNOTATOR: mark("annotator"),
    Role.REVIEWER: mark("reviewer"),
    Role.ARBITER: mark("arbiter"),
    Role.ADMINISTRATOR: mark("administrator"),
    Role.SYSTEM: mark("system"),
}

UNNAMED = mark("not named")
"""Scanners and protocols whose images do not say, in the ledger's figures."""

KINDS = {
    "webhook": mark("Webhook"),
    "email": mark("E-mail"),
    "hl7": mark("HL7 message"),
    "correction": mark("Corrected SEG"),
    "correction_sr": mark("Corrected SR"),
}

STATES = {
    "receiving": mark("receiving"),
    "complete": mark("complete"),
    "incomplete": mark("incomplete"),
    "queued": mark("queued"),
    "running": mark("running"),
    "analysed": mark("analysed"),
    "failed": mark("failed"),
    "superseded": mark("superseded"),
    "pending": mark("pending"),
    "delivered": mark("delivered"),
    "parked": mark("parked"),
    "cancelled": mark("cancelled"),
}


def role_name(role: str) -> str:
    return look_up(ROLES[Role(role)])


def state_words(state: str) -> str:
    """A state of the ledger as a word within a sentence."""
    return look_up(STATES.get(state, state))


def kind_words(kind: str) -> str:
    """What went out: a kind of result in capitals, or of notification in words."""
    return look_up(KINDS[kind]) if kind in KINDS else kind.upper()


def capital(text: str) -> str:
    """With its first letter large, where letters have two sizes."""
    return text[:1].upper() + text[1:]


def list_of(words: list[str]) -> str:
    """`a or b`, in the reader's language."""
    return gettext(" or ").join(words)
