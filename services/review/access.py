"""What somebody may see and do of a workitem: blinded readers see their own work, the arbiter A, B and the AI."""

from dataclasses import dataclass

from services.ledger import annotations, courses
from services.ledger.accounts import Account, Role
from services.ledger.annotations import Annotation, Comment
from services.ledger.database import Connection
from services.ledger.workitems import Purpose, Slot, State, Workitem
from services.review.tasks import Task

_ENDED = (State.ACCEPTED, State.EXCLUDED)

DRAWS = {
    State.TO_ANNOTATE: (Slot.A, Slot.B),
    State.RETURNED: (Slot.A, Slot.B),
    State.IN_REVIEW: (Slot.REVIEWER,),
    State.DISPUTED: (Slot.ARBITER,),
}
"""Whose turn it is to draw."""


@dataclass(frozen=True)
class Shown:
    """A mask that somebody may look at; `annotation` is None for the answer and a reference."""

    name: str
    mask_digest: str
    annotation: Annotation | None = None


def why_not_draw(item: Workitem, account: str) -> str | None:
    """Why an account may not draw now, as a sentence that names who may; None when it may."""
    turn = DRAWS.get(item.state)
    if turn is None:
        return f"This workitem is {item.state.words.lower()}; nobody draws on it now."
    slot = item.slot_of(account)
    if slot is None or slot not in turn:
        holders = [reading.account for reading in item.readings if reading.slot in turn]
        if holders and (not turn[0].is_annotator or item.readers == 1):  # of two blinded readers no name is said
            return f"{holders[0]} holds this workitem; it is open for reading only."
        return "You do not hold this workitem; it is open for reading only."
    reading = item.reading(slot)
    if reading is not None and reading.submitted_id is not None and slot.is_annotator:
        return "You handed in your mask; it is open for reading only."
    return None


def shown(connection: Connection, item: Workitem, account: Account, task: Task) -> tuple[Shown, ...]:
    """The masks that an account may look at, in the order in which pages name them."""
    slot = item.slot_of(account.name)
    versions = annotations.of_workitem(connection, item.id)
    found: list[Shown] = []
    submitted = _submitted(item, slot)
    if item.purpose is not Purpose.WORK:
        if slot is not None:
            found += _own(versions, slot, account.name)
            case = courses.reference(connection, item.reference_id) if item.reference_id and submitted else None
            # The answers of a test would be known to whoever takes it a second time.
            if case is not None and item.purpose is Purpose.TRAINING:
                found.append(Shown("Reference", case.mask_digest))
        return tuple(found)
    sees_answer = slot is not None and (not slot.is_annotator or task.readers.start == "answer" or submitted)
    if item.ai_digest is not None and (sees_answer or item.state in _ENDED):
        found.append(Shown("AI", item.ai_digest))
    if slot is not None:
        found += _own(versions, slot, account.name)
    if slot in (Slot.REVIEWER, Slot.ARBITER):
        found += _readings(versions, item)
    standing = next((each for each in versions if each.id == item.standing_id), None)
    is_expert = bool(account.roles & {Role.ANNOTATOR, Role.REVIEWER, Role.ARBITER})
    if standing is not None and (slot in (Slot.REVIEWER, Slot.ARBITER) or (item.state in _ENDED and is_expert)):
        found.append(Shown("Standing", standing.mask_digest, standing))
    return tuple(found)


def visible_comments(connection: Connection, item: Workitem, account: Account) -> tuple[Comment, ...]:
    """Remarks that an account may read: an annotator none of the other annotator's before the end."""
    every = annotations.comments(connection, item.id)
    slot = item.slot_of(account.name)
    if slot is None and item.state not in _ENDED:
        return ()
    if slot is None or not slot.is_annotator or item.state in _ENDED:
        return tuple(every)
    return tuple(each for each in every if each.slot is slot or not each.slot.is_annotator)


def is_blinded(item: Workitem, account: Account) -> bool:
    """Whether names and figures of other readers are kept from an account: it draws on a workitem that two draw on, or
    may still become its second reader."""
    if item.state in _ENDED or item.readers == 1:
        return False
    slot = item.slot_of(account.name)
    if slot is not None:
        return slot.is_annotator
    return Role.ANNOTATOR in account.roles and item.state in (State.TO_ANNOTATE, State.RETURNED)


def _submitted(item: Workitem, slot: Slot | None) -> bool:
    reading = item.reading(slot) if slot is not None else None
    return reading is not None and reading.submitted_id is not None


def _own(versions: list[Annotation], slot: Slot, author: str) -> list[Shown]:
    own = [each for each in versions if each.slot is slot and each.author == author]
    return [Shown("Yours", own[-1].mask_digest, own[-1])] if own else []


def _readings(versions: list[Annotation], item: Workitem) -> list[Shown]:
    """The last submitted mask of A and of B, and what Nightjar made of both, by the tool that made it."""
    found = []
    for slot in item.annotator_slots:
        handed = [each for each in versions if each.slot is slot and each.submitted]
        if handed:
            found.append(Shown(slot.value, handed[-1].mask_digest, handed[-1]))
    made = {each.tool: each for each in versions if each.slot is Slot.CONSENSUS and each.round == item.round}
    return found + [
        Shown(tool.capitalize() if tool.islower() else tool, each.mask_digest, each) for tool, each in made.items()
    ]
