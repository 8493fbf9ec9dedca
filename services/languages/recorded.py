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
    # review: why a workitem was made, where it stands, and what somebody may not do
    mark("%(label)s: %(probability)s beside the operating point %(point)s."),
    mark("One of %(share)s of all answers."),
    mark("The readers differ. %(what)s."),
    mark("%(why)s STAPLE coincides with the majority by only Dice %(dice)s for label %(label)s; it is not offered."),
    mark("Image quality %(value)s (%(word)s), below %(least)s."),
    mark("Image quality %(value)s (%(word)s), below %(least)s: %(seen)s."),
    mark("motion"),
    mark("metal"),
    mark("motion and metal"),
    mark("≤ %(share)s of the thickness"),
    mark("to annotate"),
    mark("annotated"),
    mark("in review"),
    mark("returned"),
    mark("disputed"),
    mark("arbitrated"),
    mark("accepted"),
    mark("excluded"),
    mark("annotator or arbiter or reviewer"),
    mark("This workitem is %(state)s."),
    mark("This workitem is %(state)s; nobody draws on it now."),
    mark("%(name)s holds this workitem."),
    mark("%(name)s holds this workitem; it is open for reading only."),
    mark("%(name)s holds this workitem already, as %(slot)s."),
    mark("%(name)s is at work on this as %(slot)s, or done."),
    mark("%(name)s reviews this workitem."),
    mark("You hold this workitem already, as %(slot)s."),
    mark("You hold this workitem as %(slot)s; nobody reviews their own work."),
    mark("You do not hold this workitem."),
    mark("You do not hold this workitem; it is open for reading only."),
    mark("You hold nothing of this workitem that you could give back."),
    mark("You handed in your mask."),
    mark("You handed in your mask; it is open for reading only."),
    mark("This workitem has no reading %(slot)s."),
    mark("Only a reviewer or an administrator makes workitems."),
    mark("Only a reviewer or an administrator assigns workitems."),
    mark("Only a reviewer or an administrator plans workitems."),
    mark("Only who holds a part of the workitem comments on it."),
    mark("Only who holds a part of the workitem grades its images."),
    mark("Only who holds a part of the workitem excludes it."),
    mark("Training and tests are not assigned, reviewed or excluded."),
    mark("Grade the image quality first, then hand in."),
    mark("Image quality is graded %(least)s to %(most)s; %(value)s is none of them."),
    mark("A comment has 1 to %(most)s characters."),
    mark("There is no voxel %(voxel)s in an image of %(shape)s slices, rows and columns."),
    mark("This happens when the mask is handed in."),
    mark("A workitem that is %(source)s cannot become %(target)s."),
    mark("Only Nightjar itself makes a workitem %(target)s that is %(source)s."),
    mark("To make a workitem %(target)s that is %(source)s needs the role %(role)s."),
    mark("Say why the workitem becomes %(target)s."),
    mark("Say why."),
    mark("Somebody else records this for you."),
    mark("Experience begins today at the latest."),
    mark("%(name)s does not have the role %(role)s."),
    mark("The experience of %(name)s is not recorded; this needs %(years)s years."),
    mark("%(name)s has %(years)s years of experience; this needs %(needed)s."),
    mark("%(name)s is not admitted to %(task)s yet: training and consistency test come first."),
    mark("You are admitted to this task."),
    mark("1 of your cases is still to be drawn."),
    mark("%(count)s of your cases are still to be drawn."),
    mark("The test needs %(needed)s reference cases; there are %(there)s. A reviewer adds them."),
    mark("Only an accepted label becomes a reference."),
    mark("This task has a reference case of these images already."),
    mark("There is no such workitem here."),
    mark("There is no such mask here."),
    mark("There is no such study here."),
    mark("There is no such series here."),
    mark("There is no task type %(name)s here. There are %(names)s."),
    mark("This study has no series in the role %(role)s, on which %(task)s is drawn. Name the series."),
    mark("This answer has a workitem of this task already: number %(number)s."),
    mark("This mask was drawn on one that is not this workitem's. Open the workitem again."),
    mark("This mask lies on another grid than the workitem's images. Bring it in as an upload."),
    mark("The mask has the value %(values)s, which is no label of %(task)s."),
    mark(
        "Another version of this mask was saved at %(time)s UTC, from another window or program. Yours is not saved; "
        "open the workitem again to see that version."
    ),
    mark("The bytes of a mask are no longer in the store."),
    # reader studies
    mark("Name at least two arms, each once; the reference first."),
    mark("Give the reader study a name."),
    mark("Name a series of its own for every arm."),
    mark("This reader study has no arm %(arm)s. It has %(arms)s."),
    mark("This case has the arm %(arm)s already."),
    mark("There is a reader study of this name already."),
    mark("There is no such reader study here."),
    mark("There is no such image here."),
    mark("This reader study is closed."),
    mark("Results are shown when the reader study is closed."),
    mark("You rated this already; a rating is not changed."),
)

_PLACE = re.compile(r"%\((\w+)\)s")


def say_again(sentence: str) -> str:
    """A recorded sentence in the language of the moment."""
    if current().tag == ENGLISH:
        return sentence
    said = look_up(sentence)
    if said != sentence:
        return said
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
