"""Signed HTTP POST: JSON, HMAC-SHA256 over time and body, one identifier however often it is sent."""

import hashlib
import hmac
import json
import time
from typing import Any

import httpx

from services.errors import Reject, Retry
from services.notification_settings import Notification
from services.notifications.announcement import Announcement
from services.notifications.words import NOTICE

_INCLUDED = ("patient_id", "patient_name", "accession_number", "study_uid")


def body_of(announcement: Announcement) -> bytes:
    """The JSON that is posted, UTF-8; what the site does not include is not in it at all."""
    content: dict[str, Any] = {
        "id": str(announcement.id),
        "event": "test" if announcement.is_test else "flag",
        "notice": NOTICE,
        "urgency": int(announcement.urgency),
        "model": {"name": announcement.model, "version": announcement.model_version},
        "findings": [
            {"label": flag.label, "volume_ml": round(flag.volume_ml, 2), "urgency": int(flag.urgency)}
            for flag in announcement.flags
        ],
        "study": announcement.study,
        "analysed_at": announcement.analysed_at.isoformat(),
    }
    content |= {name: value for name in _INCLUDED if (value := getattr(announcement, name)) is not None}
    if announcement.link is not None:
        content["link"] = announcement.link
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def sign(secret: str, at_s: int, body: bytes) -> str:
    """The header Nightjar-Signature: HMAC-SHA256 over `<seconds since 1970>.<body>`, in hexadecimal."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def send(announcement: Announcement, receiver: Notification) -> str:
    """Post it.

    Raises:
        Retry: nothing took it this time.
        Reject: the address will not take it.
    """
    body = body_of(announcement)
    headers = {
        "Content-Type": "application/json",
        "Nightjar-Id": str(announcement.id),
        "Nightjar-Signature": sign(receiver.secret or "", int(time.time()), body),
    }
    try:
        # The answer's body is of no interest, and may be endless: it is not read.
        with httpx.stream(
            "POST", receiver.url or "", content=body, headers=headers, timeout=receiver.timeout_s
        ) as response:
            return _judge(response.status_code)
    except httpx.TimeoutException as error:
        raise Retry(f"it did not answer within {receiver.timeout_s:g} s") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise Reject("its url is no http or https address") from error
    except httpx.HTTPError as error:
        raise Retry(f"nothing answers there ({type(error).__name__})") from error


def _judge(status: int) -> str:
    """A refused signature is tried again: whoever mends it there should not have to come here as well."""
    if 200 <= status < 300:
        return ""
    if status in (401, 403):
        raise Retry(f"it refuses our signature (HTTP {status}); see secret")
    if status in (408, 425, 429) or status >= 500:
        raise Retry(f"it could not take the notification (HTTP {status})")
    if 300 <= status < 400:
        raise Reject(f"it sends us elsewhere (HTTP {status}); name the final address")
    raise Reject(f"it refuses the notification (HTTP {status})")
