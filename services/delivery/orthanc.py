"""Upload to Orthanc by its REST API: POST /instances takes a Part 10 file and says whether it had it already."""

import httpx

from services.delivery.verdicts import Outcome, Verdict, judge_http


def upload(
    data: bytes, sop_instance_uid: str, *, url: str, username: str | None, password: str | None, timeout_s: float
) -> Outcome:
    """Store one Part 10 file. Sent again it changes nothing: Orthanc answers AlreadyStored."""
    login = httpx.BasicAuth(username, password or "") if username is not None else None
    try:
        response = httpx.post(
            f"{url.rstrip('/')}/instances",
            content=data,
            headers={"Content-Type": "application/dicom"},
            auth=login,
            timeout=timeout_s,
        )
    except httpx.TimeoutException:
        return Outcome(sop_instance_uid, Verdict.RETRY, f"it did not answer within {timeout_s:g} s")
    except httpx.UnsupportedProtocol:
        return Outcome(sop_instance_uid, Verdict.REJECT, "its url is no http or https address")
    except httpx.HTTPError as error:
        return Outcome(sop_instance_uid, Verdict.RETRY, f"nothing answers there ({type(error).__name__})")
    verdict, reason = judge_http(response.status_code)
    if verdict is Verdict.STORED and _status(response) == "AlreadyStored":
        reason = "it had the instance already"
    return Outcome(sop_instance_uid, verdict, reason)


def _status(response: httpx.Response) -> str:
    try:
        answer = response.json()
    except ValueError:
        return ""
    return str(answer.get("Status", "")) if isinstance(answer, dict) else ""
