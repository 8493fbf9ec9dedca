"""What an answer from a destination means: one table from DIMSE status and one from HTTP status to a verdict."""

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    STORED = "stored"
    RETRY = "retry"
    REJECT = "reject"


@dataclass(frozen=True)
class Outcome:
    """What became of one instance; `reason` is part of a sentence without patient data, empty when stored plainly."""

    sop_instance_uid: str
    verdict: Verdict
    reason: str = ""


# Storage statuses (PS3.4 B.2.3, PS3.7 C). The first range that holds a status decides.
_DIMSE: tuple[tuple[range, Verdict, str], ...] = (
    (range(0x0000, 0x0001), Verdict.STORED, ""),
    (range(0x0001, 0x0002), Verdict.STORED, "stored with a warning"),
    (range(0x0107, 0x0108), Verdict.STORED, "stored, some attributes ignored"),
    (range(0x0111, 0x0112), Verdict.STORED, "it had the instance already"),
    (range(0x0116, 0x0117), Verdict.STORED, "stored, a value out of range"),
    (range(0xB000, 0xC000), Verdict.STORED, "stored with a warning"),
    (range(0xA700, 0xA800), Verdict.RETRY, "out of resources"),
    (range(0xA900, 0xAA00), Verdict.REJECT, "it says the data set does not match its SOP class"),
    (range(0xC000, 0xD000), Verdict.REJECT, "it cannot understand the instance"),
    (range(0x0110, 0x0111), Verdict.RETRY, "processing failure"),
    (range(0x0117, 0x0118), Verdict.REJECT, "it calls the instance invalid"),
    (range(0x0122, 0x0123), Verdict.REJECT, "it does not store this SOP class"),
    (range(0x0124, 0x0125), Verdict.RETRY, "it does not allow us to store"),
    (range(0x0211, 0x0214), Verdict.RETRY, "it could not take the request"),
)


def judge_dimse(status: int | None) -> tuple[Verdict, str]:
    """Verdict on a C-STORE status, and the reason with the status. No answer (None) and unknown ones are retried."""
    if status is None:
        return Verdict.RETRY, "it did not answer"
    for statuses, verdict, reason in _DIMSE:
        if status in statuses:
            return verdict, f"{reason} (status 0x{status:04X})" if reason else ""
    return Verdict.RETRY, f"it answered with status 0x{status:04X}"


def judge_http(status: int) -> tuple[Verdict, str]:
    """Verdict on the HTTP status of an upload and the reason.

    A refused login is tried again: whoever mends it on the other side should not have to come here as well.
    """
    if 200 <= status < 300:
        return Verdict.STORED, ""
    if status in (401, 403):
        return Verdict.RETRY, f"it refuses our login (HTTP {status}); see username and password"
    if status in (408, 425, 429) or status >= 500:
        return Verdict.RETRY, f"it could not take the instance (HTTP {status})"
    return Verdict.REJECT, f"it refuses the instance (HTTP {status})"
