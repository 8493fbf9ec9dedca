"""The small HTTP port: what it says when a part starts, works, hangs; and nothing without a port."""

import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Gauge
from support.ports import free_ports

from services.errors import SettingsError
from services.operations.probes import SILENT_S, Health, serve_probes
from services.settings import MetricsSettings


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_part_is_ready_when_it_says_so_and_alive_while_its_loop_turns() -> None:
    clock = Clock()
    health = Health(_clock=clock)
    assert health.why_not_ready() == "It is starting."
    assert health.why_not_alive() is None, "slow to start is no reason to be killed"
    health.beat()
    clock.now = SILENT_S - 1
    assert health.why_not_alive() is None
    clock.now = SILENT_S
    assert health.why_not_alive() == "The main loop has not turned for 60 s."
    health.beat()
    assert health.why_not_alive() is None


def test_the_port_answers_probes_and_scrapes_and_nothing_else() -> None:
    registry = CollectorRegistry()
    Gauge("nightjar_answer", "An answer.", registry=registry).set(42)
    [port] = free_ports(1)
    health = Health()
    with serve_probes(MetricsSettings(port=port), health, registry):
        assert get(port, "/readyz") == (503, "It is starting.\n")
        health.why_not_ready = lambda: None
        assert get(port, "/readyz") == (200, "ok\n")
        assert get(port, "/healthz") == (200, "ok\n")
        assert "nightjar_answer 42.0" in get(port, "/metrics")[1]
        assert get(port, "/")[0] == 404
        with pytest.raises(SettingsError, match=rf"metrics\.port = {port}: cannot listen"):
            serve_probes(MetricsSettings(port=port), health, registry).__enter__()
    with pytest.raises(urllib.error.URLError):
        get(port, "/healthz")


def test_without_a_port_nothing_listens() -> None:
    with serve_probes(MetricsSettings(), Health(), CollectorRegistry()):
        pass
