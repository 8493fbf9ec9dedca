"""Words of notifications, in the language of the moment."""

from models.prediction import Urgency
from services.languages import gettext, mark
from services.languages.speaking import look_up
from services.notifications.announcement import Announcement

NOTICE = mark("Prioritisation only. Not for diagnosis. Read the full study in PACS.")

_URGENCIES = {
    Urgency.IMMEDIATE: mark("Immediate"),
    Urgency.URGENT: mark("Urgent"),
    Urgency.STANDARD: mark("Standard"),
}


def headline(announcement: Announcement) -> str:
    """One line without anything of the patient: `Immediate: suspected IPH, IVH`."""
    if announcement.is_test:
        return gettext("Test notification")
    labels = ", ".join(look_up(flag.label) for flag in announcement.flags)
    return gettext(
        "%(urgency)s: suspected %(findings)s", urgency=look_up(_URGENCIES[announcement.urgency]), findings=labels
    )


def lines(announcement: Announcement) -> list[str]:
    """What there is to read, line by line."""
    said = [headline(announcement), ""]
    if announcement.is_test:
        said += [gettext("This is a test. It is about no patient."), ""]
    for flag in announcement.flags:
        said.append(gettext("Suspected %(finding)s", finding=f"{look_up(flag.label)} {flag.volume_ml:.1f} mL"))
    named = (
        (gettext("Accession number"), announcement.accession_number),
        (gettext("Patient ID"), announcement.patient_id),
        (gettext("Patient"), announcement.patient_name),
        (gettext("Study UID"), announcement.study_uid),
    )
    said += [f"{name}: {' '.join(value.split())}" for name, value in named if value is not None]
    if announcement.link is not None:
        said += ["", announcement.link]
    model = gettext("Model %(name)s %(version)s", name=announcement.model, version=announcement.model_version)
    at = f"{announcement.analysed_at:%Y-%m-%d %H:%M:%S} UTC"
    return [*said, "", look_up(NOTICE), *([] if announcement.is_test else [f"{model}, {at}"])]
