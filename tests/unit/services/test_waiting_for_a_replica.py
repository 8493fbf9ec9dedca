"""How long an answer is waited for: in line it is no failed try, and what is given up is taken back."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from services.errors import Retry
from services.settings import InferenceSettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own use of what it imports
    from services.inference.deployment import ModelServer
    from services.inference.serve_config import QUEUE


class Waiting:
    """A response that comes after so many waits, and the handle that gives it."""

    def __init__(self, waits: int) -> None:
        self.left, self.cancelled = waits, False
        self.analyse = self

    def remote(self, *_: Any) -> "Waiting":
        return self

    def result(self, timeout_s: float) -> str:
        assert timeout_s == 2.0
        if self.left:
            self.left -= 1
            raise TimeoutError
        return "answer"

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModelServer]:
    def start(waiting: Waiting, *, healthy: bool = True) -> ModelServer:
        server = ModelServer(InferenceSettings(models=("ich",), timeout_s=2.0))
        monkeypatch.setattr(server, "_handles", {"ich": waiting})
        monkeypatch.setattr(server, "healthy", lambda: healthy)
        return server

    return start


def test_others_that_are_before_it_cost_no_try(serving: Callable[..., ModelServer]) -> None:
    waiting = Waiting(QUEUE - 1)
    assert serving(waiting).ask("ich", {}) == "answer"  # type: ignore[comparison-overlap]
    assert not waiting.cancelled


@pytest.mark.parametrize(("waits", "healthy"), [(QUEUE, True), (1, False)], ids=["too long", "Serve is not well"])
def test_what_is_given_up_is_taken_back(serving: Callable[..., ModelServer], waits: int, healthy: bool) -> None:
    waiting = Waiting(waits)
    with pytest.raises(Retry, match=f"did not answer within {2 * waits} s"):
        serving(waiting, healthy=healthy).ask("ich", {})
    assert waiting.cancelled
