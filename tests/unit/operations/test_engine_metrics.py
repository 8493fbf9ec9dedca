from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from models.engines.plans import PlanCache, PlanKey, Profile, Tell
from services.operations.engine_metrics import engine_metrics

SERVED = PlanKey("a" * 64, "tensorrt_rtx 1.7.1", "8.9", "fp16", {"x": Profile((1, 3), (8, 3), (8, 3))})
STRANGER = PlanKey("b" * 64, "tensorrt_rtx 1.7.1", "8.9", "fp32", {"x": Profile((1, 3), (8, 3), (8, 3))})
MODELS = {SERVED.weights_digest: "ich"}


class Engines(Collector):
    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def collect(self) -> list[Metric]:
        return list(engine_metrics(self._folder, MODELS))


def value(folder: Path | None, name: str, model: str, precision: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(Engines(folder))
    labels = {"model": model, "library": "tensorrt_rtx 1.7.1", "capability": "8.9", "precision": precision}
    return registry.get_sample_value(name, labels)


def test_a_build_is_seen_while_it_runs_and_its_time_afterwards(tmp_path: Path) -> None:
    seen: list[float | None] = []

    def build(tell: Tell) -> bytes:
        tell("choosing", 0.5)
        for model, precision in (("ich", "fp16"), ("b" * 12, "fp32")):
            seen.append(value(tmp_path, "nightjar_engine_building_seconds", model, precision))
        return b"plan"

    for key in (SERVED, STRANGER):
        PlanCache(tmp_path).get(key, build)
    assert [found is not None for found in seen] == [True, False, False, True]
    assert value(tmp_path, "nightjar_engine_building_seconds", "ich", "fp16") is None
    assert value(tmp_path, "nightjar_engine_build_seconds", "ich", "fp16") is not None
    assert value(tmp_path, "nightjar_engine_build_seconds", "b" * 12, "fp32") is None, "nobody asks for it any more"


def test_without_a_folder_there_is_nothing_to_say(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "absent"):
        assert value(folder, "nightjar_engine_build_seconds", "ich", "fp16") is None
