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
    # masks from elsewhere
    mark("The file is empty."),
    mark("The file has more than %(size)s MiB, which is no mask of these images."),
    mark("The choice of labels did not arrive whole. Choose again."),
    mark(
        "Number %(number)s of the file, %(voxels)s voxels, the first on slice %(slice)s, is no label of this task. "
        "Choose one of %(labels)s, or leave it out."
    ),
    mark("Nothing is left: every number of the file is left out. Choose a label for at least one."),
    mark("The segmentation belongs to another study. Open the task of that study to add it there."),
    mark(
        "The segmentation is in another frame of reference (%(theirs)s) than the images (%(ours)s): where its voxels "
        "lie in this patient is not known. Draw it on this series, or export it from a viewer that had this series."
    ),
    mark(
        "The segmentation holds fractions (Segmentation Type FRACTIONAL); here a voxel is marked or not. Save it as a "
        "binary or label map segmentation."
    ),
    mark("The segmentation marks nothing on these images."),
    mark("The segmentation marks nothing: none of its %(count)s frames has a marked voxel."),
    mark("The images name no frame of reference; only the grid was compared."),
    mark("Resampled: each voxel has the number of the nearest one in the file."),
    mark("This is no DICOM file."),
    mark("The DICOM file is damaged or ends early (%(error)s)."),
    mark("This DICOM object is no segmentation: it is %(kind)s."),
    mark("The segmentation ends before its frames: it has no Pixel Data. Export it again."),
    mark("The segmentation has %(count)s frames of %(size)s pixels; that cannot be read here."),
    mark(
        "The segmentation ends early: %(there)s of the %(needed)s bytes of its %(count)s frames are there. Send it "
        "again."
    ),
    mark("The segmentation is damaged or ends early: its %(count)s frames cannot be decoded (%(error)s)."),
    mark("The segmentation is damaged: it says of %(placed)s of its %(count)s frames where they lie."),
    mark(
        "Segments %(one)s and %(other)s overlap in %(voxels)s voxels of slice %(slice)s, the first at column "
        "%(column)s, row %(row)s. A voxel has one label here."
    ),
    mark("Frame %(number)s of the segmentation is turned by %(angle)s degrees against the images."),
    mark("The segmentation has %(theirs)s pixels of %(size)s mm, the images %(ours)s of %(spacing)s mm."),
    mark(
        "Frame %(number)s of the segmentation lies between the slices: %(away)s mm from slice %(slice)s, the nearest."
    ),
    mark(
        "Frame %(number)s of the segmentation is shifted against slice %(slice)s by %(columns)s columns and %(rows)s "
        "rows, which is no whole number of pixels."
    ),
    mark("Frame %(number)s of the segmentation reaches beyond slice %(slice)s of the images."),
    mark("The segmentation does not say what its frames are: one has no %(keyword)s."),
    mark("The segmentation cannot be resampled: its frames are not parallel, or not of the same pixels."),
    mark("A NIfTI names no patient and no study: only its grid was compared with the images'."),
    mark("The mask marks nothing on these images: every voxel is 0."),
    mark("The mask ends early or is damaged: it cannot be decompressed. Send it again."),
    mark("The mask has %(size)s MiB, more than is read here."),
    mark("This is no NIfTI file: its header cannot be read."),
    mark("The mask has %(count)s dimensions (%(shape)s); one mask has three."),
    mark("The mask ends early: the voxels of %(shape)s are not all there. Send it again."),
    mark(
        "The mask holds %(kind)s values; labels are whole numbers. Save it as a label map, not as an image or a "
        "probability."
    ),
    mark("The mask holds the number %(number)s at voxel %(voxel)s; labels are 0 to 65535."),
    mark("The mask does not say where its voxels lie: sform and qform codes are 0."),
    mark("The mask has an affine that places its voxels nowhere."),
    mark("The mask has %(theirs)s voxels, the images %(ours)s."),
    mark("The mask's voxels are %(theirs)s mm, the images' %(ours)s mm."),
    mark("The mask is turned by %(angle)s degrees against the images."),
    mark("The mask lies %(away)s mm away from the images (%(shift)s mm, LPS)."),
    mark("The slices are unevenly spaced, which a NIfTI cannot say: taken slice by slice."),
    mark("The file stacks the slices upright, without the gantry's tilt: taken slice by slice."),
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
