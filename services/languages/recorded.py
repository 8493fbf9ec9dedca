"""Sentences that stages write into the ledger in English, said again in the reader's language.

A stage knows no reader. What it wrote is matched against the forms below, and the parts that were put in are said again
in their turn. What matches none stays as it was written.
"""

import re
from functools import cache

from services.languages.catalogues import ENGLISH
from services.languages.speaking import current, look_up, mark

FORMS = (
    # routing
    mark("Not applicable: %(missing)s. The study has %(present)s."),
    mark("No model applies: the study has %(present)s, but %(needs)s."),
    mark("No model applies: %(needs)s, and the only series has another use. %(why)s"),
    mark("No model applies: %(needs)s, and none of the %(count)s series is that."),
    mark("The series for %(role)s is still being received."),
    mark("The series for %(role)s is incomplete: %(why)s"),
    mark("missing %(roles)s for %(model)s"),
    mark("%(model)s needs %(roles)s"),
    mark("%(said)s Score %(score)s. Chosen for %(role)s."),
    mark("%(said)s Score %(score)s: %(merits)s. Chosen for %(role)s."),
    mark("%(said)s Not chosen: it is incomplete."),
    mark("%(said)s Not chosen: an equal series comes first."),
    mark("%(said)s Not chosen: another series scores %(score)s."),
    mark("%(said)s The best for %(role)s; no model reads %(other)s."),
    mark("No rule matches."),
    mark("Could not be routed: %(why)s"),
    # completeness
    mark("%(many)s slices missing at %(places)s mm along the slice normal."),
    mark("1 slice missing at %(places)s mm along the slice normal."),
    mark("%(arrived)s of the %(expected)s instances the headers announce arrived."),
    mark("%(missing)s Nothing more came within %(seconds)s s."),
    mark("%(count)s instances: %(evidence)s; all senders are done."),
    mark("1 instance: %(evidence)s; all senders are done."),
    mark("%(count)s instances: %(evidence)s; the sender fell silent on it for %(seconds)s s."),
    mark("%(count)s instances: %(evidence)s; the last arrived %(seconds)s s ago or more."),
    mark("1 instance: %(evidence)s; the last arrived %(seconds)s s ago or more."),
    mark("no slice positions to check"),
    mark("nothing more came"),
    mark("%(positions)s slice positions without a gap"),
    mark("%(positions)s slice positions without a gap, and all %(expected)s the headers announce"),
    mark("%(positions)s slice positions without a gap, %(each)s at each"),
    mark("Could not be assembled: %(why)s"),
    # analysis and results
    mark("The model %(model)s did not answer within %(seconds)s s."),
    mark("The replica of %(model)s failed (%(error)s)."),
    mark("The bytes of an instance are not in the store."),
    mark("The bytes of a source image are not in the store."),
    mark("Results on enhanced multi-frame images cannot be written yet."),
    mark("The output gate stopped the result: %(why)s."),
    mark("A newer analysis replaced this result."),
    mark("A newer analysis replaced this answer."),
    mark("%(what)s Given up after %(tries)s tries."),
    # deliveries
    mark("Destination %(name)s (%(address)s): %(why)s."),
    mark("nothing answers there"),
    mark("it did not answer within %(seconds)s s"),
    mark("it did not answer, or ended the association"),
    mark("it rejects the association; check the AE titles it allows"),
    mark("it had the instance already"),
    mark("it refuses our login (HTTP %(status)s); see username and password"),
    mark("it could not take the instance (HTTP %(status)s)"),
    mark("it refuses the instance (HTTP %(status)s)"),
    mark("Notification %(name)s (%(address)s): %(why)s."),
    mark("nothing answers there (%(error)s)"),
    mark("it refuses our login (SMTP %(status)s); see username and password"),
    mark("it refuses our signature (HTTP %(status)s); see secret"),
    mark("it could not take the notification (HTTP %(status)s)"),
    mark("it refuses the notification (HTTP %(status)s)"),
    mark("it could not take the mail (SMTP %(status)s)"),
    mark("it refuses every recipient (SMTP %(status)s)"),
    mark("it refuses %(some)s of %(count)s recipients"),
    mark("it cannot use the message (%(code)s)"),
    mark("it does not take messages now (%(code)s)"),
    mark("it closed the connection without an acknowledgement"),
    mark("its answer is no acknowledgement"),
    mark("it acknowledges another message"),
    mark("notifications: none is called %(name)s any more; add it again."),
    mark("destinations: none is called %(name)s any more; add it again or send the result elsewhere."),
    # what people did
    mark("claimed"),
    mark("released"),
    mark("handed over to %(name)s"),
    mark("agreed with"),
    mark("disagreed with"),
    mark("opinion withdrawn"),
    mark("encoded"),
    mark("routed"),
    mark("retry"),
    mark("retried by hand"),
    mark("superseded"),
    mark("conflict"),
    mark("False positive."),
    mark("Known finding."),
    mark("Artefact."),
    mark("Wrong type."),
    mark("Wrong outline or volume."),
    mark("Missed finding."),
)

_PLACE = re.compile(r"%\((\w+)\)s")


def say_again(sentence: str) -> str:
    """A recorded sentence in the language of the moment."""
    if current().tag == ENGLISH:
        return sentence
    if sentence in FORMS:
        return look_up(sentence)
    for pattern, form in _patterns():
        if found := pattern.fullmatch(sentence):
            values = {name: say_again(value) for name, value in found.groupdict().items()}
            return look_up(form) % values
    return sentence


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """The forms with places, the most particular first."""
    forms = sorted((form for form in FORMS if _PLACE.search(form)), key=lambda form: -len(_PLACE.sub("", form)))
    return tuple((re.compile(_as_pattern(form), re.DOTALL), form) for form in forms)


def _as_pattern(form: str) -> str:
    parts = _PLACE.split(form)
    return "".join(f"(?P<{part}>.+?)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
