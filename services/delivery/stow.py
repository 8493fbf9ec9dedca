"""STOW-RS (PS3.18 10.5): instances in one request, and what the answer says of each."""

import uuid
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import httpx

from services.archive_settings import Destination
from services.delivery.http import post
from services.delivery.verdicts import Outcome, Verdict, judge_dimse, judge_http
from services.dicomweb.media import DICOM, DICOM_JSON
from services.dicomweb.multipart import content_type, write_parts

FAILED, REFERENCED = "00081198", "00081199"
SOP_INSTANCE_UID, FAILURE_REASON, WARNING_REASON = "00081155", "00081197", "00081196"
_ONE_BY_ONE = (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT)
"""Answers whose body says what became of each instance."""


def store(files: Sequence[tuple[str, bytes]], destination: Destination) -> list[Outcome]:
    """Store Part 10 files, (SOP Instance UID, bytes); one outcome each. Sent again they change nothing.

    An instance that a success does not mention is stored where the body cannot be read (a server may not speak JSON and
    need not say much after 200), and is sent again where it can.
    """
    boundary = uuid.uuid4().hex
    body = b"".join(write_parts(boundary, ((DICOM, (data,)) for _, data in files)))
    headers = {"Content-Type": content_type(boundary, DICOM), "Accept": DICOM_JSON}
    answer = post(destination, "studies", body, headers)
    if not isinstance(answer, httpx.Response):
        return [Outcome(uid, *answer) for uid, _ in files]
    told = _told(answer) if answer.status_code in _ONE_BY_ONE else {}
    rest = judge_http(answer.status_code)
    if told or answer.status_code == HTTPStatus.ACCEPTED:
        rest = Verdict.RETRY, f"it does not say what became of the instance (HTTP {answer.status_code})"
    return [Outcome(uid, *told.get(uid, rest)) for uid, _ in files]


def _told(response: httpx.Response) -> dict[str, tuple[Verdict, str]]:
    """Verdict and reason by SOP Instance UID; nothing where the body is no Store Instances Response."""
    try:
        answer = response.json()
    except ValueError:
        return {}
    told = {
        _value(item, SOP_INSTANCE_UID): judge_dimse(_number(item, WARNING_REASON) or 0)
        for item in _items(answer, REFERENCED)
    }
    return told | {
        _value(item, SOP_INSTANCE_UID): judge_dimse(_number(item, FAILURE_REASON)) for item in _items(answer, FAILED)
    }


def _items(answer: Any, tag: str) -> list[dict[str, Any]]:
    sequence = answer.get(tag) if isinstance(answer, dict) else None
    items = sequence.get("Value", []) if isinstance(sequence, dict) else []
    return [item for item in items if isinstance(item, dict)]


def _value(item: dict[str, Any], tag: str) -> Any:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _number(item: dict[str, Any], tag: str) -> int | None:
    value = _value(item, tag)
    return value if isinstance(value, int) else None
