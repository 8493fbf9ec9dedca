"""One POST to a destination, and a verdict where there is no answer."""

import httpx

from services.archive_settings import Destination
from services.delivery.verdicts import Verdict


def post(
    destination: Destination, path: str, content: bytes, headers: dict[str, str]
) -> httpx.Response | tuple[Verdict, str]:
    """The answer; without one a verdict and its reason."""
    login = None if destination.username is None else httpx.BasicAuth(destination.username, destination.password or "")
    url = f"{(destination.url or '').rstrip('/')}/{path}"
    try:
        return httpx.post(url, content=content, headers=headers, auth=login, timeout=destination.timeout_s)
    except httpx.TimeoutException:
        return Verdict.RETRY, f"it did not answer within {destination.timeout_s:g} s"
    except httpx.UnsupportedProtocol:
        return Verdict.REJECT, "its url is no http or https address"
    except httpx.HTTPError as error:
        return Verdict.RETRY, f"nothing answers there ({type(error).__name__})"
