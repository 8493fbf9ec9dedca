"""The way in for those outside a Ray cluster: one application with a route, before all those that have none.

A GET says which applications run; a POST asks one of them (`messages`). Both need the token in `serve_token`, which
this cluster's processes find in their environment. Inside, volumes go by handle as they do for everybody else.
"""

import asyncio
import hmac
import logging
import os
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from models.errors import ModelError
from services.errors import NightjarError, Reject, Retry, SettingsError
from services.inference.deployment import verdicts
from services.inference.joined import running_applications
from services.inference.messages import LARGEST_BYTES, Answer, InvalidMessage, Question, pack, unpack
from services.inference.serve_config import FAILED, GATE, GATE_ONGOING, REJECTED, VERDICT

TOKEN = "NIGHTJAR_INFERENCE__SERVE_TOKEN"  # noqa: S105 - where it is found

logger = logging.getLogger("ray.serve")


class Gate:
    """Checks the token and the size, and hands on what it is asked."""

    def __init__(self, applications: tuple[str, ...]) -> None:
        token = os.environ.get(TOKEN, "")
        if not token:
            raise SettingsError(f"{TOKEN} is not set where this Ray runs; without a token nothing is served outside.")
        self._applications, self._expected = frozenset(applications), f"Bearer {token}".encode()
        self._handles: dict[str, Any] = {}

    async def __call__(self, request: Request) -> Response:
        """Answer one request, with the verdict on what failed in a header."""
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._expected):
            return PlainTextResponse("The token is missing or another.", HTTPStatus.UNAUTHORIZED)
        if request.method == "GET":
            running = await asyncio.to_thread(running_applications)
            return JSONResponse({"running": sorted(running & self._applications)})
        try:
            answer = await self._answer(await _body(request))
        except NightjarError as error:
            trace = request.headers.get("traceparent", "")[3:35]
            logger.warning("A request from outside failed [%s]: %s", trace if trace.isalnum() else "", error)
            rejected = isinstance(error, Reject)
            status = HTTPStatus.UNPROCESSABLE_ENTITY if rejected else HTTPStatus.SERVICE_UNAVAILABLE
            return PlainTextResponse(str(error), status, {VERDICT: REJECTED if rejected else FAILED})
        return Response(await asyncio.to_thread(pack, answer), media_type="application/octet-stream")

    async def _answer(self, content: bytes) -> Answer:
        try:
            question = await asyncio.to_thread(unpack, Question, content)
        except ModelError as error:
            raise Reject(str(error)) from error
        except InvalidMessage as error:  # another version of Nightjar: nothing is wrong with the study
            raise Retry(str(error)) from error
        name = question.application
        if name not in self._applications:
            raise Retry(f"No model called {name[:64]!r} is served here.")
        with verdicts(name):
            if name not in self._handles:
                self._handles[name] = serve.get_app_handle(name)
            answer: Answer = await self._handles[name].analyse.remote(dict(question.inputs), question.priority)
        return answer


async def _body(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BYTES:
            raise Reject(f"A request may have {LARGEST_BYTES >> 20} MiB.")
    return bytes(content)


class GateArguments(BaseModel):
    """The `args` of the gate, as `nightjar model serve-config` writes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    applications: tuple[str, ...]


def build(arguments: GateArguments) -> Application:
    """The Serve application of the gate."""
    deployment = serve.deployment(name=GATE, max_ongoing_requests=GATE_ONGOING)(Gate)
    return deployment.bind(arguments.applications)
