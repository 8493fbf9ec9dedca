"""Rows of the audit trail as audit messages of DICOM (PS3.15 A.5), in syslog's clothes (RFC 5424, PS3.15 A.6).

A patient is named by patient ID, as the standard asks of messages about instances; never by name.
"""

import os
import re
import socket
from datetime import UTC
from xml.etree.ElementTree import Element, SubElement, tostring

from services.ledger.audit import Entry

OWN_CODES = "99NIGHTJAR"
"""Designator of EventTypeCode, which keeps the trail's own word for what was done."""

PRIORITY = 10 * 8 + 5
"""Facility security, severity notice (PS3.15 A.6)."""

SUCCESS, SERIOUS_FAILURE = "0", "8"

Code = tuple[str, str]

ACTIVITY: Code = ("110100", "Application Activity")
LOG_USED: Code = ("110101", "Audit Log Used")
ACCESSED: Code = ("110103", "DICOM Instances Accessed")
QUERY: Code = ("110112", "Query")
SECURITY: Code = ("110113", "Security Alert")
AUTHENTICATION: Code = ("110114", "User Authentication")

_AUTHENTICATIONS: dict[str, Code] = {"sign-in": ("110122", "Login"), "sign-out": ("110123", "Logout")}
_ACCOUNTS = frozenset({"account made", "account handed over"})
_QUERIES = frozenset({"search", "DICOMweb search", "worklist", "review queue", "shift"})
_READS = frozenset(
    {
        "study", "view", "preview", "geometry", "image", "images", "pacs", "ohif", "workitem", "edit", "mask",
        "download", "upload page", "search", "DICOMweb search", "DICOMweb retrieve", "reader study",
        "reader study case", "reader study results", "audit trail",
    }
)  # fmt: skip
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def syslog_line(entry: Entry, source: str) -> bytes:
    """One message of syslog, without a frame: `source` says which Nightjar sends it."""
    at = entry.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f"<{PRIORITY}>1 {at} {socket.gethostname()} nightjar {os.getpid()} DICOM+RFC3881 - "
    return head.encode("ascii", "replace") + b"\xef\xbb\xbf" + audit_message(entry, source)


def audit_message(entry: Entry, source: str) -> bytes:
    """The message's XML, UTF-8."""
    message = Element("AuditMessage")
    event, kind, action = _event(entry)
    identification = SubElement(
        message,
        "EventIdentification",
        EventActionCode=action,
        EventDateTime=entry.at.astimezone(UTC).isoformat(),
        EventOutcomeIndicator=SUCCESS if entry.outcome == "success" else SERIOUS_FAILURE,
    )
    _code(identification, "EventID", event)
    if kind is not None:
        _code(identification, "EventTypeCode", kind)
    _code(identification, "EventTypeCode", (entry.action, entry.action), OWN_CODES)
    person = SubElement(message, "ActiveParticipant", UserID=_text(entry.account or "unknown"), UserIsRequestor="true")
    if entry.address:
        person.set("NetworkAccessPointID", _text(entry.address))
        person.set("NetworkAccessPointTypeCode", "2")  # an IP address
    SubElement(message, "ActiveParticipant", UserID=_text(source), UserIsRequestor="false")
    sender = SubElement(message, "AuditSourceIdentification", AuditSourceID=_text(source))
    SubElement(sender, "AuditSourceTypeCode", {"csd-code": "4", "codeSystemName": "DCM", "originalText": "Server"})
    if event is LOG_USED:
        _object(message, "/audit", "2", "13", ("12", "URI"), "RFC-3881")
    if entry.study_uid:
        _object(message, entry.study_uid, "2", "3", ("110180", "Study Instance UID"), "DCM")
    if entry.patient_id:
        _object(message, entry.patient_id, "1", "1", ("2", "Patient Number"), "RFC-3881")
    # On one line: a collector of syslog keeps lines.
    return ('<?xml version="1.0" encoding="UTF-8"?>' + tostring(message, encoding="unicode")).encode()


def _event(entry: Entry) -> tuple[Code, Code | None, str]:
    """What kind of event it is, its type where the standard has one, and whether something was read or changed."""
    if entry.action in _AUTHENTICATIONS:
        return AUTHENTICATION, _AUTHENTICATIONS[entry.action], "E"
    if entry.action in _ACCOUNTS:
        return SECURITY, ("110137", "User Security Attributes Changed"), "E"
    if entry.action == "audit trail":
        return LOG_USED, None, "R"
    if entry.study_uid is not None:
        return ACCESSED, None, "R" if entry.action in _READS else "U"
    if entry.action in _QUERIES:
        return QUERY, None, "E"
    return ACTIVITY, None, "E"


def _object(message: Element, name: str, kind: str, role: str, code: Code, scheme: str) -> None:
    found = SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_text(name),
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )
    _code(found, "ParticipantObjectIDTypeCode", code, scheme)


def _code(parent: Element, name: str, code: Code, scheme: str = "DCM") -> None:
    value, meaning = code
    SubElement(parent, name, {"csd-code": value, "codeSystemName": scheme, "originalText": meaning})


def _text(value: str) -> str:
    """Without what no XML can hold; headers of images may say anything."""
    return _NOT_XML.sub("?", value)
