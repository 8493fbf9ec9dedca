"""Words of the review that pages show and other modules choose: marked here, so that they have translations."""

from services.languages import mark
from services.ledger.reader_studies import Design
from services.ledger.workitems import Cause, Purpose, Slot, State
from services.review.listing import Tab

STATES = {
    State.TO_ANNOTATE: mark("To annotate"),
    State.ANNOTATED: mark("Annotated"),
    State.IN_REVIEW: mark("In review"),
    State.RETURNED: mark("Returned"),
    State.DISPUTED: mark("Disputed"),
    State.ARBITRATED: mark("Arbitrated"),
    State.ACCEPTED: mark("Accepted"),
    State.EXCLUDED: mark("Excluded"),
}

CAUSES = {
    Cause.FLAG: mark("Flag"),
    Cause.DISAGREEMENT: mark("A reader disagreed"),
    Cause.SAMPLE: mark("Sampled"),
    Cause.UNCERTAINTY: mark("Uncertain"),
    Cause.HAND: mark("By hand"),
    Cause.ARRIVAL: mark("A correction arrived"),
    Cause.COURSE: mark("Training or test"),
}

TABS = {
    Tab.ANNOTATE: mark("To annotate"),
    Tab.REVIEW: mark("To review"),
    Tab.DISPUTED: mark("Disputed"),
    Tab.DONE: mark("Done"),
}

SLOTS = {
    Slot.A: "A",
    Slot.B: "B",
    Slot.REVIEWER: mark("reviewer"),
    Slot.ARBITER: mark("arbiter"),
    Slot.CONSENSUS: mark("consensus"),
}

PURPOSES = {Purpose.WORK: mark("work"), Purpose.TRAINING: mark("training"), Purpose.TEST: mark("test")}

MASKS = ("AI", mark("Yours"), mark("Reference"), mark("Standing"), mark("Majority vote"), "STAPLE", "A", "B")
"""What pages call masks."""

PROTOCOL = (
    mark("Field strength"),
    mark("Sequence"),
    mark("Slice thickness"),
    mark("Gap"),
    mark("Field of view"),
    mark("Coverage"),
    mark("Matrix"),
    mark("b-values"),
    mark("Signal to noise"),
    mark("Contrast to noise"),
    mark("present"),
    mark("missing"),
    mark("measured"),
    mark("estimated in tissue"),
)
"""What the lines of a protocol check are called; limits and figures stay as they are."""

MOVES = {
    State.IN_REVIEW: mark("Take for review"),
    State.ANNOTATED: mark("Give the review back"),
    State.ACCEPTED: mark("Accept"),
    State.RETURNED: mark("Return to the author"),
    State.DISPUTED: mark("Send to the arbiter"),
    State.EXCLUDED: mark("Exclude"),
    State.TO_ANNOTATE: mark("Bring back"),
}
"""What the buttons of decisions say, by the state that they lead to."""

DESIGNS = {Design.SINGLE: mark("One image at a time"), Design.PAIRS: mark("Pairs, side by side")}

PREFERENCES = {
    -3: mark("left much better"),
    -2: mark("left better"),
    -1: mark("left slightly better"),
    0: mark("equal"),
    1: mark("right slightly better"),
    2: mark("right better"),
    3: mark("right much better"),
}
"""What the points of a pair's scale say."""

QUESTIONS = {
    "diagnostic quality": mark("Diagnostic quality"),
    "resolution": mark("Resolution"),
    "noise": mark("Noise"),
    "artefacts": mark("Artefacts"),
    "contrast": mark("Contrast"),
}
"""What a reader study asks."""
