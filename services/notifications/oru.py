"""HL7 v2.5.1 ORU^R01 for RIS and PACS: an order's priority and what is suspected, never as a final result."""

import re
from datetime import UTC, datetime

from hl7apy.core import Message, Segment
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

from models.prediction import Urgency
from services.errors import Reject, Retry
from services.notification_settings import Notification
from services.notifications.announcement import Announcement
from services.notifications.mllp import exchange
from services.notifications.words import NOTICE

VERSION = "2.5.1"
PRIORITIES = {Urgency.IMMEDIATE: "S", Urgency.URGENT: "A", Urgency.STANDARD: "R"}
"""HL7 table 0485: stat, as soon as possible, routine."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_NOBODY = "S"  # table 0200: the name is withheld
_PRELIMINARY = "P"


def compose(announcement: Announcement, receiver: Notification, now: datetime) -> str:
    """The message; segments end with a carriage return.

    Args:
        now: when it is sent; the control identifier stays the same however often that is.
    """
    message = Message("ORU_R01", version=VERSION)
    header = message.msh
    header.msh_3.msh_3_1 = "NIGHTJAR"
    header.msh_4.msh_4_1 = receiver.sending_facility
    header.msh_5.msh_5_1 = receiver.receiving_application
    header.msh_6.msh_6_1 = receiver.receiving_facility
    header.msh_7.msh_7_1 = _time(now)
    header.msh_9.msh_9_1, header.msh_9.msh_9_2, header.msh_9.msh_9_3 = "ORU", "R01", "ORU_R01"
    header.msh_10 = control_id(announcement)
    header.msh_11.msh_11_1 = "T" if announcement.is_test else "P"
    header.msh_18 = "UNICODE UTF-8"
    result = message.add_group("ORU_R01_PATIENT_RESULT")
    _patient(result.add_group("ORU_R01_PATIENT").add_segment("PID"), announcement)
    order = result.add_group("ORU_R01_ORDER_OBSERVATION")
    _order(order.add_segment("OBR"), announcement)
    timing = order.add_group("ORU_R01_TIMING_QTY").add_segment("TQ1")
    timing.tq1_1 = "1"
    timing.tq1_9.tq1_9_1 = PRIORITIES[announcement.urgency]
    for number, (kind, code, value, unit) in enumerate(_observations(announcement), start=1):
        segment = order.add_group("ORU_R01_OBSERVATION").add_segment("OBX")
        segment.obx_1, segment.obx_2, segment.obx_11 = str(number), kind, _PRELIMINARY
        segment.obx_3.obx_3_1, segment.obx_3.obx_3_2, segment.obx_3.obx_3_3 = code
        segment.obx_5 = value if kind == "NM" else _encode(value)
        if unit:
            segment.obx_6.obx_6_1, segment.obx_6.obx_6_3 = unit, "UCUM"
    return str(message.to_er7())


def control_id(announcement: Announcement) -> str:
    """MSH-10: 20 characters, as many as older receivers keep."""
    return announcement.id.hex[:20].upper()


def send(announcement: Announcement, receiver: Notification) -> str:
    """Send it and read the acknowledgement (HL7 table 0008).

    Raises:
        Retry: no acknowledgement, or AR: the receiver cannot take messages just now.
        Reject: AE: the receiver cannot use this message.
    """
    message = compose(announcement, receiver, datetime.now(UTC)).encode()
    answer = exchange(message, receiver.host or "", receiver.port or 0, receiver.timeout_s)
    code, acknowledged = _read_acknowledgement(answer)
    if acknowledged != control_id(announcement):
        raise Retry("it acknowledges another message")
    if code in ("AA", "CA"):
        return ""
    if code in ("AE", "CE"):
        raise Reject(f"it cannot use the message ({code})")
    raise Retry(f"it does not take messages now ({code})")


def _read_acknowledgement(answer: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-2. Its text is left out: it may quote the patient."""
    try:
        parsed = parse_message(answer.decode("utf-8", "replace").strip().replace("\n", "\r"), find_groups=False)
        code, acknowledged = parsed.msa.msa_1.value, parsed.msa.msa_2.value
    except (HL7apyException, AttributeError, ValueError, IndexError, TypeError) as error:
        raise Retry("its answer is no acknowledgement") from error
    if code not in ("AA", "AE", "AR", "CA", "CE", "CR"):
        raise Retry("its answer is no acknowledgement")
    return str(code), str(acknowledged)


def _patient(segment: Segment, announcement: Announcement) -> None:
    segment.pid_3.pid_3_1 = _encode(announcement.patient_id or "")
    if announcement.patient_name is None:
        segment.pid_5.pid_5_7 = _NOBODY
        return
    family, given, middle, prefix, suffix = (announcement.patient_name.partition("=")[0].split("^") + [""] * 5)[:5]
    segment.pid_5.pid_5_1, segment.pid_5.pid_5_2 = _encode(family), _encode(given)
    segment.pid_5.pid_5_3, segment.pid_5.pid_5_4 = _encode(middle), _encode(suffix)
    segment.pid_5.pid_5_5 = _encode(prefix)


def _order(segment: Segment, announcement: Announcement) -> None:
    accession = _encode(announcement.accession_number or "")
    segment.obr_1 = "1"
    segment.obr_3.obr_3_1 = accession
    segment.obr_4.obr_4_1, segment.obr_4.obr_4_2, segment.obr_4.obr_4_3 = "PRIORITY", "AI prioritisation", "99NIGHTJAR"
    segment.obr_7.obr_7_1 = segment.obr_22.obr_22_1 = _time(announcement.analysed_at)
    segment.obr_18 = accession
    segment.obr_24 = "RAD"
    segment.obr_25 = _PRELIMINARY


Observation = tuple[str, tuple[str, str, str], str, str]


def _observations(announcement: Announcement) -> list[Observation]:
    """(value type, code, value, unit): one a flag, then where it comes from, then the notice."""
    found: list[Observation] = [
        ("NM", (flag.label, f"Suspected {flag.label}, volume", "99NIGHTJAR"), f"{flag.volume_ml:.1f}", "mL")
        for flag in announcement.flags
    ]
    said = "Test. About no patient." if announcement.is_test else f"{announcement.model} {announcement.model_version}"
    found.append(("ST", ("111001", "Algorithm Name", "DCM"), said, ""))
    if announcement.study_uid is not None:
        found.append(("ST", ("110180", "Study Instance UID", "DCM"), announcement.study_uid, ""))
    if announcement.link is not None:
        found.append(("ST", ("LINK", "Page of the study", "99NIGHTJAR"), announcement.link, ""))
    found.append(("ST", ("NOTICE", "Notice", "99NIGHTJAR"), NOTICE, ""))
    return found


def _encode(text: str) -> str:
    """Text as it stands in a message: delimiters escaped; no control characters, which could begin a segment."""
    text = _CONTROL.sub(" ", text).strip().replace("\\", "\\E\\")
    for sign, letter in (("|", "F"), ("^", "S"), ("&", "T"), ("~", "R")):
        text = text.replace(sign, f"\\{letter}\\")
    return text


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")
