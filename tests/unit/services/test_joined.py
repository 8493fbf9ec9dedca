"""A joined cluster is believed for a moment only, and a part whose cluster never answers again ends."""

import time
import warnings

import pytest

from services.settings import InferenceSettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own use of what it imports
    from services.inference import joined
    from services.inference.joined import Joined


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Joined:
    monkeypatch.setattr(joined, "WATCH_S", 0.0)
    return Joined(InferenceSettings(models=("ich",), ray_address="ray:6379"))


def test_what_was_seen_long_ago_is_not_believed(cluster: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not cluster.healthy(), "nothing was seen yet"
    cluster._seen = time.monotonic(), frozenset({"ich", "ais"})
    monkeypatch.setattr(joined, "FRESH_S", 3600.0)
    assert cluster.healthy()
    assert cluster.running() == {"ich", "ais"}
    monkeypatch.setattr(joined, "FRESH_S", 0.0)
    assert cluster.running() == cluster.running_now() == frozenset()


def test_a_part_whose_cluster_is_lost_ends(cluster: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(joined.os, "_exit", end)
    monkeypatch.setattr(joined, "LOST_S", 0.0)
    cluster._seen = time.monotonic() - 1, frozenset({"ich"})
    with pytest.raises(SystemExit, match="1"):
        cluster._guard()
    cluster._closed.set()
    cluster._guard()
    cluster._watch()
