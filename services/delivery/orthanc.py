"""Upload to Orthanc by its REST API: POST /instances takes a Part 10 file and says whether it had it already."""

import httpx

from services.archive_settings import Destination
from services.delivery.http import post
from services.delivery.verdicts import Outcome, Verdict, judge_http


def upload(data: bytes, sop_instance_uid: str, destination: Destination) -> Outcome:
    """Store one Part 10 file. Sent again it changes nothing: Orthanc answers AlreadyStored."""
    answer = post(destination, "instances", data, {"Content-Type": "application/dicom"})
    if not isinstance(answer, httpx.Response):
        return Outcome(sop_instance_uid, *answer)
    verdict, reason = judge_http(answer.status_code)
    if verdict is Verdict.STORED and _status(answer) == "AlreadyStored":
        reason = "it had the instance already"
    return Outcome(sop_instance_uid, verdict, reason)


def _status(response: httpx.Response) -> str:
    try:
        answer = response.json()
    except ValueError:
        return ""
    return str(answer.get("Status", "")) if isinstance(answer, dict) else ""
