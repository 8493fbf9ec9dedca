"""An Orthanc's REST API as far as following it needs: its list of changes, what an instance is, and its file."""

from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx

from services.archive_settings import Source
from services.errors import Retry

PAGE = 100
"""Changes asked for at once."""


class SourceAway(Retry):
    """The archive does not answer, or does not let us in."""


class Gone(Exception):
    """The archive no longer has the instance."""


class Unobtainable(Retry):
    """The archive answers, and cannot give this instance."""


@dataclass(frozen=True)
class Change:
    """Something that happened in the archive.

    Attributes:
        number: counts up from 1 as long as its database lives.
        instance: Orthanc's identifier of the instance that is new; None for everything else.
    """

    number: int
    instance: str | None


class OrthancClient:
    """Questions to one Orthanc; every one raises SourceAway where it is not answered."""

    def __init__(self, source: Source) -> None:
        login = None if source.username is None else httpx.BasicAuth(source.username, source.password or "")
        self._http = httpx.Client(base_url=source.url.rstrip("/"), auth=login, timeout=source.timeout_s)
        self._modalities: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def archive(self) -> str:
        """What tells its database from another one; "" before Orthanc 1.11.1."""
        return str(self._json("/system").get("DatabaseServerIdentifier", ""))

    def last_change(self) -> int:
        """The number of its latest change; 0: there is none."""
        return int(self._json("/changes?last")["Last"])

    def changes(self, since: int) -> list[Change]:
        """Those that follow, oldest first; none: that was all."""
        answer = self._json(f"/changes?since={since}&limit={PAGE}")
        return [
            Change(int(each["Seq"]), str(each["ID"]) if each["ChangeType"] == "NewInstance" else None)
            for each in answer["Changes"]
        ]

    def describe(self, instance: str) -> tuple[str, str]:
        """SOP Instance UID and modality.

        Raises:
            Gone, Unobtainable
        """
        found = self._json(f"/instances/{instance}", one=True)
        series = str(found["ParentSeries"])
        if series not in self._modalities:
            tags = self._json(f"/series/{series}", one=True)["MainDicomTags"]
            if len(self._modalities) >= PAGE:
                self._modalities.clear()
            self._modalities[series] = str(tags.get("Modality", ""))
        return str(found["MainDicomTags"]["SOPInstanceUID"]), self._modalities[series]

    def file(self, instance: str) -> bytes:
        """The Part 10 file as it was received.

        Raises:
            Gone, Unobtainable
        """
        return self._get(f"/instances/{instance}/file", one=True).content

    def _json(self, path: str, *, one: bool = False) -> dict[str, Any]:
        response = self._get(path, one=one)
        try:
            answer = response.json()
        except ValueError as error:
            raise SourceAway("what answers there is no Orthanc") from error
        if not isinstance(answer, dict):
            raise SourceAway("what answers there is no Orthanc")
        return answer

    def _get(self, path: str, *, one: bool) -> httpx.Response:
        """The answer; `one`: about a single instance, which may be missing or damaged."""
        try:
            response = self._http.get(path)
        except httpx.HTTPError as error:
            raise SourceAway(f"it does not answer ({type(error).__name__})") from error
        status = response.status_code
        if status == HTTPStatus.OK:
            return response
        if one and status == HTTPStatus.NOT_FOUND:
            raise Gone
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise SourceAway("it refuses our user name and password")
        if one:
            raise Unobtainable(f"it answers HTTP {status}")
        raise SourceAway(f"it answers HTTP {status}")
