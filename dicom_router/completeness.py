"""Is a series complete? Decided by evidence, from headers, senders and the clock alone (a pure function).

Evidence that it is: every association that carried it is closed or idle, its slice positions have no gap, and the
counts its headers give are reached. Without evidence the fallback timer decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from dicom_router.geometry import find_gaps

_WITHOUT_GEOMETRY = ("LOCALIZER", "SCOUT", "TOPOGRAM")
_SHOWN = 12


@dataclass(frozen=True)
class Arrived:
    """One instance of a series. `attributes` by DICOM keyword."""

    sop_class_uid: str
    association_id: str | None
    received_at: datetime
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Association:
    """A sender of the series, as the ledger knows it."""

    id: str
    closed_at: datetime | None


@dataclass(frozen=True)
class Timing:
    """Seconds after which an open association counts as idle, and a series without evidence is closed."""

    idle_s: float
    fallback_s: float


@dataclass(frozen=True)
class Complete:
    evidence: str


@dataclass(frozen=True)
class Waiting:
    """Not yet. `until` is None while a sender's release or silence is waited for, else the fallback's time."""

    reason: str
    until: datetime | None


@dataclass(frozen=True)
class Incomplete:
    missing: str


Verdict = Complete | Waiting | Incomplete


def assess(instances: Sequence[Arrived], associations: Sequence[Association], now: datetime, timing: Timing) -> Verdict:
    """Judge a series by what has arrived of it.

    Args:
        instances: all of the series, in any order, without conflicting ones.
        associations: those that carried them.
    """
    if not instances:
        return Incomplete("Nothing usable arrived: every instance has other bytes under a UID that was already taken.")
    last = max(instance.received_at for instance in instances)
    deadline = last + timedelta(seconds=timing.fallback_s)
    missing, positions = _look(instances)
    sending = [association for association in associations if association.closed_at is None]
    idle_at = last + timedelta(seconds=timing.idle_s)
    count = _plural(len(instances), "instance")

    if now >= deadline:
        if missing:
            return Incomplete(f"{missing} Nothing more came within {timing.fallback_s:g} s.")
        evidence = positions or "nothing more came"
        return Complete(f"{count}: {evidence}; the last arrived {timing.fallback_s:g} s ago or more.")
    if sending and now < idle_at:
        return Waiting("The sender is still active.", None)
    if missing:
        return Waiting(f"{missing} Late instances are waited for.", deadline)
    if not sending:
        return Complete(f"{count}: {positions or 'no slice positions to check'}; all senders are done.")
    if positions is None:
        return Waiting("No slice positions to check, and the association is still open.", deadline)
    if _longest_pause_s(instances) > timing.idle_s / 2:
        return Waiting("The sender pauses between instances, so its silence proves nothing.", deadline)
    return Complete(f"{count}: {positions}; the sender fell silent on it for {timing.idle_s:g} s.")


def _look(instances: Sequence[Arrived]) -> tuple[str | None, str | None]:
    """What is missing, as sentences, and what the slice positions prove; None where there is nothing to say."""
    attributes = [instance.attributes for instance in instances]
    planar = [a for a in attributes if _frames(a) <= 1 and "ImagePositionPatient" in a and not _is_localiser(a)]
    missing = [sentence for sentence in (_missing_counts(attributes),) if sentence]
    multi_frame = sum(_frames(a) > 1 for a in attributes)
    if multi_frame:
        said = f"{_plural(multi_frame, 'multi-frame instance')}, each whole by itself"
        return " ".join(missing) or None, said
    found = find_gaps(planar)
    if found.missing_mm:
        shown = ", ".join(f"{position:.1f}" for position in found.missing_mm[:_SHOWN])
        more = len(found.missing_mm) - _SHOWN
        shown += f" and {more} more" if more > 0 else ""
        many = len(found.missing_mm)
        missing.append(f"{_plural(many, 'slice')} missing at {shown} mm along the slice normal.")
    proof = None
    if found.positions >= 3:
        proof = f"{found.positions} slice positions without a gap"
        proof += f", {found.per_position} at each" if found.per_position > 1 else ""
        proof += f", {_plural(found.duplicates, 'position')} with duplicates" if found.duplicates else ""
        announced = _announced(attributes)
        proof += f", and all {announced[0][0]} the headers announce" if announced else ""
    return " ".join(missing) or None, proof


def _missing_counts(attributes: Sequence[Mapping[str, Any]]) -> str | None:
    for expected, arrived in _announced(attributes):
        if arrived < expected:
            return f"{arrived} of the {expected} instances the headers announce arrived."
    steps = max((int(a.get("NumberOfTemporalPositions") or 0) for a in attributes), default=0)
    seen = {a["TemporalPositionIdentifier"] for a in attributes if "TemporalPositionIdentifier" in a}
    if seen and len(seen) < steps:
        return f"{len(seen)} of the {steps} temporal positions the headers announce arrived."
    return None


def _announced(attributes: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """The counts the headers announce, each with what arrived: instances, and images, which frames are too.

    The largest first. One smaller than what arrived is wrong or counts something else: left out.
    """
    images = sum(max(1, _frames(a)) for a in attributes)
    counts = []
    for keyword, arrived in (("NumberOfSeriesRelatedInstances", len(attributes)), ("ImagesInAcquisition", images)):
        announced = max((int(a[keyword]) for a in attributes if isinstance(a.get(keyword), int | float)), default=0)
        if announced >= max(arrived, 1):
            counts.append((announced, arrived))
    return sorted(counts, reverse=True)


def _frames(attributes: Mapping[str, Any]) -> int:
    frames = attributes.get("NumberOfFrames", 1)
    return int(frames) if isinstance(frames, int | float) else 1


def _is_localiser(attributes: Mapping[str, Any]) -> bool:
    image_type = attributes.get("ImageType", ())
    values = [image_type] if isinstance(image_type, str) else image_type
    return any(str(value).upper() in _WITHOUT_GEOMETRY for value in values)


def _longest_pause_s(instances: Sequence[Arrived]) -> float:
    times = sorted(instance.received_at for instance in instances)
    return max(((later - earlier).total_seconds() for earlier, later in pairwise(times)), default=0)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
