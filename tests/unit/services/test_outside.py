"""Asking models from outside their cluster: messages say the same on both sides, and only the gate rejects a study."""

import json
import ssl
import struct
import threading
import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError
from support.certificates import certify
from support.heads import small_head

from models.phase import PhaseEncoding
from models.prediction import Finding, ModelIdentity, Prediction, Urgency
from models.volume import Volume
from services.errors import NightjarError, Reject, Retry, SettingsError
from services.inference.messages import Answer, InvalidMessage, Question, pack, unpack
from services.inference.outside import Outside
from services.inference.serve_config import FAILED, REJECTED, VERDICT, serve_config
from services.operations.correlation import of_study
from services.settings import InferenceSettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own use of what it imports
    from services.inference.cluster import ClusterModels

TOKEN = "a token of the test that is long enough"
IDENTITY = ModelIdentity("ich", "1.0.0", "0" * 64)
ANSWER = Answer(Prediction(IDENTITY, np.zeros((1, 2, 2), np.uint8), (), {}, {}), b"picture")


class _Gate(BaseHTTPRequestHandler):
    """Says which models run."""

    def do_GET(self) -> None:
        content = b'{"running": ["ich"]}'
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def settings(**more: Any) -> InferenceSettings:
    way = {"serve_url": "http://models:8000/nightjar", "serve_token": TOKEN}
    return InferenceSettings.model_validate({"models": ("ich",)} | way | more)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    return bool(one == other) and type(one) is type(other)


numbers = st.floats(allow_nan=False, width=32)
words = st.text(max_size=8)
shapes = arrays.array_shapes(min_dims=3, max_dims=3, max_side=4)
findings = st.builds(
    Finding, label=words, probability=numbers, volume_ml=numbers, urgency=st.sampled_from(Urgency),
    key_slice=st.integers(0, 2**40), volume_range_ml=st.none() | st.tuples(numbers, numbers),
    abc2_ml=st.none() | numbers,
)  # fmt: skip
predictions = st.builds(
    Prediction,
    model=st.builds(ModelIdentity, words, words, words),
    segmentation=arrays.arrays(np.uint8, shapes),
    findings=st.lists(findings, max_size=3).map(tuple),
    probabilities=st.dictionaries(words, numbers, max_size=3),
    slice_probabilities=st.dictionaries(words, arrays.arrays(np.float32, st.integers(0, 5)), max_size=3),
    urgency=st.sampled_from(Urgency),
    measurements=st.dictionaries(words, numbers, max_size=3),
    parameters=st.dictionaries(words, numbers | words, max_size=3),
    image=st.none() | arrays.arrays(np.float32, shapes),
)


@given(predictions, st.binary(max_size=20))
def test_an_answer_comes_back_as_it_was(prediction: Prediction, preview: bytes) -> None:
    answer = Answer(prediction, preview)
    assert same(answer, unpack(Answer, pack(answer)))


def test_a_question_comes_back_as_it_was() -> None:
    head = small_head().volume
    told = replace(head, sources=tuple(str(n) for n in range(len(head.voxels))))
    encoded = replace(head, voxels=head.voxels[:, ::2], encoding=PhaseEncoding(2, 0.35, 0.5, 0.5))
    question = Question("ich", {"NCCT": told, "DWI": encoded}, None)
    assert same(question, unpack(Question, pack(question)))


@given(st.data())
def test_what_is_no_whole_message_is_refused(data: st.DataObject) -> None:
    whole = pack(ANSWER)
    changed = data.draw(
        st.integers(0, len(whole) - 1).map(lambda end: whole[:end])
        | st.binary(min_size=1, max_size=9).map(lambda more: whole + more)
        | st.binary(max_size=40)
    )
    with pytest.raises(InvalidMessage):
        unpack(Answer, changed)


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"content": {}, "arrays": []},
        {"content": None, "arrays": [{"type": "O", "shape": [1]}]},
        {"content": None, "arrays": [{"type": "<f4", "shape": [2**62]}]},
        {"content": {"prediction": {}, "preview": 7}, "arrays": []},
        ["content"],
    ],
)
def test_a_head_that_lies_is_refused(head: Any) -> None:
    text = json.dumps(head).encode()
    with pytest.raises(InvalidMessage):
        unpack(Answer, struct.pack("<4sQ", b"NJM1", len(text)) + text + bytes(64))
    with pytest.raises(InvalidMessage):
        unpack(Question, pack(ANSWER))


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outside]:
    """A client whose requests are answered here."""

    def start(answer: Callable[[httpx.Request], httpx.Response]) -> Outside:
        outside = Outside(settings())
        outside.close()
        headers = outside._client.headers
        monkeypatch.setattr(outside, "_client", httpx.Client(transport=httpx.MockTransport(answer), headers=headers))
        return outside

    return start


def ask(outside: Outside) -> Answer:
    return outside.ask("ich", {"NCCT": small_head().volume}, 40)


def test_a_request_carries_the_token_the_urgency_and_the_study(answered: Callable[..., Outside]) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=pack(ANSWER))

    study = UUID(int=2**127 + 5)
    with of_study(study, "infer"):
        assert same(ask(answered(answer)), ANSWER)
    [request] = seen
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["traceparent"] == f"00-{study.hex}-8000000000000000-01"
    question = unpack(Question, request.content)
    assert (question.application, question.priority, list(question.inputs)) == ("ich", 40, ["NCCT"])


@pytest.mark.parametrize(
    ("answer", "verdict", "says"),
    [
        (httpx.Response(422, text="Too dark.", headers={VERDICT: REJECTED}), Reject, "Too dark."),
        (httpx.Response(503, text="It died.", headers={VERDICT: FAILED}), Retry, "It died."),
        (httpx.Response(413, text="<html>"), Retry, "answered with 413"),
        (httpx.Response(422, text="<html>"), Retry, "answered with 422"),
        (httpx.Response(401), Retry, "answered with 401"),
        (httpx.Response(200, text="<html>"), Retry, "not a whole Answer"),
    ],
)
def test_only_the_gate_rejects_a_study(
    answered: Callable[..., Outside], answer: httpx.Response, verdict: type[NightjarError], says: str
) -> None:
    with pytest.raises(verdict, match=says):
        ask(answered(lambda _: answer))


def test_a_gate_that_cannot_be_reached_runs_nothing(answered: Callable[..., Outside]) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    outside = answered(refuse)
    assert not outside.open()
    assert outside.running() == frozenset()
    with pytest.raises(Retry, match="did not answer"):
        ask(outside)
    somebody_else = answered(lambda _: httpx.Response(200, text="<html>"))
    assert somebody_else.running() == frozenset()


def test_no_token_and_another_are_mistakes_in_the_settings(answered: Callable[..., Outside]) -> None:
    with pytest.raises(SettingsError, match="serve_token is missing"):
        Outside(settings().model_copy(update={"serve_token": None}))
    with pytest.raises(SettingsError, match="serve_token is not the token"):
        answered(lambda _: httpx.Response(401)).open()


def test_a_certificate_of_the_hospitals_own_authority(tmp_path: Path) -> None:
    certificate, key = certify(tmp_path, "models")
    server = HTTPServer(("127.0.0.1", 0), _Gate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = settings(serve_url=f"https://127.0.0.1:{server.server_port}/nightjar")
    try:
        with pytest.raises(SettingsError, match=r"not trusted \(self-signed certificate\).*serve_authorities"):
            Outside(at).open()
        assert Outside(at).running() == frozenset()  # one that ran out later is waited for
        trusting = Outside(at.model_copy(update={"serve_authorities": certificate}))
        assert trusting.open()
        assert trusting.running() == {"ich"}
    finally:
        server.shutdown()
        server.server_close()
    for unusable in (tmp_path / "none.pem", key):
        with pytest.raises(SettingsError, match=r"serve_authorities = .* cannot be used"):
            Outside(at.model_copy(update={"serve_authorities": unusable}))


def test_one_client_goes_either_way() -> None:
    joined = InferenceSettings(models=("ich",), ray_address="ray:6379")
    ways = [ClusterModels(each, threading.Event())._way for each in (joined, settings())]
    assert [type(way).__name__ for way in ways] == ["Joined", "Outside"]


def test_the_gate_alone_has_a_route_and_only_where_it_is_asked_for() -> None:
    *models, gate = serve_config(settings())["applications"]
    assert [entry["route_prefix"] for entry in models] == [None]
    assert gate["route_prefix"] == "/nightjar"
    assert gate["args"] == {"applications": ["ich"]}
    assert TOKEN not in json.dumps(serve_config(settings()))
    assert [entry["name"] for entry in serve_config(InferenceSettings(models=("ich",)))["applications"]] == ["ich"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"serve_url": "http://models.example/nightjar", "serve_token": TOKEN}, "must begin with https"),
        ({"serve_url": "models:8000", "serve_token": TOKEN}, "names a host"),
        ({"serve_url": "http://models:8000", "serve_token": "short"}, "at least 32"),
        ({"serve_url": "http://models:8000", "serve_token": TOKEN, "ray_address": "ray:6379"}, "set one"),
    ],
)
def test_a_way_that_cannot_be_is_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        InferenceSettings.model_validate(given)


def test_images_larger_than_any_message_are_rejected(
    answered: Callable[..., Outside], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.inference.outside.LARGEST_BYTES", 2**20)
    dark = Volume(np.zeros((2, 512, 512), np.float32), np.array([[0.0, 0, 0], [0, 0, 1]]), (1, 0, 0), (0, 1, 0), (1, 1))
    with pytest.raises(Reject, match="takes 1 at most"):
        answered(lambda _: httpx.Response(500)).ask("ich", {"NCCT": dark})
    with pytest.raises(Retry, match="more than any answer"):
        ask_small = answered(lambda _: httpx.Response(200, content=bytes(2**20 + 1)))
        ask_small.ask("ich", {"NCCT": replace(dark, voxels=dark.voxels[:, :8, :8])})
