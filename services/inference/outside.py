"""A Ray cluster that this machine is no part of: its applications are asked over HTTP, through their gate."""

import socket
import ssl
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path

import httpx

from models.volume import Volume
from services.errors import Reject, Retry, SettingsError
from services.inference.messages import LARGEST_BYTES, Answer, InvalidMessage, Question, pack, unpack
from services.inference.serve_config import QUEUE, REJECTED, VERDICT
from services.operations.correlation import trace_headers
from services.settings import InferenceSettings

CONNECT_S = 5.0
STATES_S = 5.0
_SENTENCE = 1000
_KEEPALIVE: list[tuple[int, int, int]] = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
]
"""An answer may take minutes; a machine that is gone is noticed after half of one."""


class Outside:
    """The cluster at `inference.serve_url`; it runs the gate that `nightjar model serve-config` prints with the models.

    Every call has a connection of its own: one that was kept may be dead, which would count as a failed try.

    Raises:
        SettingsError: there is no token, or serve_authorities cannot be read. Only who asks has them, so they are not
            missed where settings are read.
    """

    def __init__(self, settings: InferenceSettings) -> None:
        if settings.serve_token is None:
            raise SettingsError("inference.serve_token is missing; the models at inference.serve_url ask for it.")
        self._url = str(settings.serve_url)
        self._client = httpx.Client(
            headers={"authorization": f"Bearer {settings.serve_token}"},
            timeout=httpx.Timeout(settings.timeout_s, connect=CONNECT_S, read=QUEUE * settings.timeout_s, pool=None),
            transport=httpx.HTTPTransport(
                verify=_trusted(settings.serve_authorities),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
                socket_options=_KEEPALIVE,
            ),
        )

    def open(self) -> bool:
        """Whether the gate answers.

        Raises:
            SettingsError: it does not take our token, or its certificate is not trusted.
        """
        try:
            answer = self._states()
        except httpx.HTTPError as error:
            if (untrusted := _untrusted(error)) is not None:
                raise SettingsError(
                    f"The certificate of inference.serve_url is not trusted ({untrusted}). Name its authority in "
                    "inference.serve_authorities."
                ) from error
            return False
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise SettingsError(
                "inference.serve_token is not the token that the models at inference.serve_url ask for."
            )
        return answer.is_success

    def close(self) -> None:
        self._client.close()

    def running(self) -> frozenset[str]:
        """Applications that are served; none when the gate does not answer."""
        try:
            answer = self._states()
            return frozenset(answer.json()["running"]) if answer.is_success else frozenset()
        except (httpx.HTTPError, ValueError, LookupError, TypeError):  # nobody answers there, or somebody else
            return frozenset()

    def running_now(self) -> frozenset[str]:
        """The same: it is asked anew each time."""
        return self.running()

    def _states(self) -> httpx.Response:
        return self._client.get(self._url, timeout=STATES_S)

    def ask(self, model: str, inputs: Mapping[str, Volume], priority: int | None = None) -> Answer:
        """See `ModelServer.ask`."""
        question = pack(Question(model, inputs, priority))
        if len(question) > LARGEST_BYTES:
            raise Reject(
                f"These images are {len(question) >> 20} MiB, and a model takes {LARGEST_BYTES >> 20} at most."
            )
        try:
            with self._client.stream("POST", self._url, content=question, headers=trace_headers()) as response:
                content = _within(response.iter_bytes(), LARGEST_BYTES)
        except httpx.HTTPError as error:
            raise Retry(f"The models at inference.serve_url did not answer ({type(error).__name__}).") from error
        if response.status_code == HTTPStatus.OK:
            try:
                return unpack(Answer, content)
            except InvalidMessage as error:
                raise Retry(f"The models at inference.serve_url: {error}") from error
        # Only the gate's own word rejects a study; what stands between may refuse for reasons of its own.
        if VERDICT not in response.headers:
            raise Retry(f"Something before the models at inference.serve_url answered with {response.status_code}.")
        sentence = content[:_SENTENCE].decode(errors="replace")
        raise (Reject if response.headers[VERDICT] == REJECTED else Retry)(sentence)


def _trusted(authorities: Path | None) -> ssl.SSLContext | bool:
    if authorities is None:
        return True
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise SettingsError(
            f"inference.serve_authorities = {authorities}: it cannot be used ({error}). Name certificates (PEM)."
        ) from error


def _untrusted(error: BaseException | None) -> str | None:
    """What is wrong with a certificate, where that is why a connection failed."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return None if error is None else error.verify_message


def _within(chunks: Iterable[bytes], largest: int) -> bytes:
    """All of an answer.

    Raises:
        Retry: it is larger than any answer is.
    """
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > largest:
            raise Retry("The models at inference.serve_url answered with more than any answer has.")
    return bytes(content)
