"""TensorRT's plans without TensorRT: what names one, who builds it, and what happens to a damaged one."""

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models.engines import Terms
from models.engines.plans import PlanCache, PlanKey, Profile, Tell, builds, profiles_of
from models.engines.tensorrt import open_plan
from models.errors import InvalidCard, UnwritableOutput

KEY = PlanKey("a" * 64, "tensorrt_rtx 1.7.1", "8.9", "fp32", {"x": Profile((1, 3), (8, 3), (8, 3))})


class Builder:
    def __init__(self) -> None:
        self.built = 0

    def __call__(self, tell: Tell) -> bytes:
        self.built += 1
        tell("choosing", 0.5)
        return b"plan\nwith\nlines " + str(self.built).encode()


def test_a_plan_is_built_once_and_read_by_the_next_process(tmp_path: Path) -> None:
    build = Builder()
    first = PlanCache(tmp_path / "engines").get(KEY, build)
    assert PlanCache(tmp_path / "engines").get(KEY, build) == first == b"plan\nwith\nlines 1"
    assert build.built == 1
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, weights_digest="b" * 64),
        replace(KEY, library="tensorrt_rtx 1.7.2"),
        replace(KEY, capability="12.0"),
        replace(KEY, precision="fp16"),
        replace(KEY, profiles={"x": Profile((1, 3), (4, 3), (4, 3))}),
    ],
    ids=["weights", "library", "GPU", "precision", "profile"],
)
def test_another_of_anything_is_another_plan(tmp_path: Path, other: PlanKey) -> None:
    build = Builder()
    cache = PlanCache(tmp_path)
    assert cache.get(KEY, build) != cache.get(other, build)
    assert build.built == 2
    assert replace(other).file_name == other.file_name != KEY.file_name


@pytest.mark.parametrize("damage", [lambda whole: whole[:-1], lambda whole: b"", lambda whole: whole + b"x"])
def test_a_damaged_plan_is_built_anew(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    build = Builder()
    cache = PlanCache(tmp_path)
    cache.get(KEY, build)
    path = tmp_path / KEY.file_name
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get(KEY, build) == b"plan\nwith\nlines 2"
    assert cache.get(KEY, build) == b"plan\nwith\nlines 2"
    assert "damaged" in caplog.text


def test_a_plan_put_under_the_name_of_another_is_not_taken(tmp_path: Path) -> None:
    build = Builder()
    cache = PlanCache(tmp_path)
    cache.get(KEY, build)
    other = replace(KEY, capability="12.0")
    (tmp_path / KEY.file_name).rename(tmp_path / other.file_name)
    assert cache.get(other, build) == b"plan\nwith\nlines 2"


def test_threads_that_start_together_build_one(tmp_path: Path) -> None:
    build, gate = Builder(), threading.Barrier(8)
    plans: list[bytes] = []

    def replica() -> None:
        gate.wait()
        plans.append(PlanCache(tmp_path).get(KEY, build))

    threads = [threading.Thread(target=replica) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert build.built == 1
    assert plans == [b"plan\nwith\nlines 1"] * 8


def _die_building(folder: Path) -> None:
    def build(tell: Tell) -> bytes:
        raise SystemExit(1)

    PlanCache(folder).get(KEY, build)


def _die_suddenly(folder: Path) -> None:
    PlanCache(folder).get(KEY, lambda _: os._exit(1))


def test_a_builder_that_dies_holds_nobody_up(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_die_building, args=(tmp_path,))
    process.start()
    process.join(30)
    assert process.exitcode == 1
    assert PlanCache(tmp_path).get(KEY, Builder()) == b"plan\nwith\nlines 1"


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(tell: Tell) -> bytes:
        raise InvalidCard("no")

    with pytest.raises(InvalidCard):
        PlanCache(tmp_path).get(KEY, fail)
    assert PlanCache(tmp_path).get(KEY, Builder()) == b"plan\nwith\nlines 1"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "engines").write_text("a file")
    with pytest.raises(UnwritableOutput, match=r"engines cannot be used: .*inference\.engine_cache"):
        PlanCache(tmp_path / "engines").get(KEY, Builder())


class Runtime:
    """Takes plans that end in one of the given ways."""

    def __init__(self, *takes: bytes) -> None:
        self.takes = takes

    def deserialize_cuda_engine(self, plan: bytes) -> object | None:
        return plan if plan.endswith(self.takes) else None


def test_a_plan_the_library_does_not_take_is_built_anew_once(tmp_path: Path) -> None:
    cache, build = PlanCache(tmp_path), Builder()
    cache.get(KEY, build)
    assert open_plan(cache, KEY, build, Runtime(b"2")) == b"plan\nwith\nlines 2"
    with pytest.raises(InvalidCard, match="does not take the plan that it built"):
        open_plan(cache, KEY, build, Runtime(b"never"))
    assert build.built == 3


def test_profiles_come_from_the_network_and_its_card() -> None:
    assert profiles_of({"slices": (None, 3, 192, 192)}, Terms(batch=8)) == {
        "slices": Profile((1, 3, 192, 192), (8, 3, 192, 192), (8, 3, 192, 192))
    }
    free = Terms(batch=4, free_axes=((64, 256, 1024), (32, 128, 512)))
    assert profiles_of({"slices": (None, 2, None, None)}, free) == {
        "slices": Profile((1, 2, 64, 32), (4, 2, 256, 128), (4, 2, 1024, 512))
    }
    assert profiles_of({"slices": (None, 2, 192, None)}, free)["slices"].largest == (4, 2, 192, 512)
    with pytest.raises(InvalidCard, match="input slices leaves sizes free"):
        profiles_of({"slices": (None, 3, None, 192)}, Terms())


def test_every_build_is_seen_while_it_runs_and_its_seconds_after(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    seen = []

    def build(tell: Tell) -> bytes:
        for step in range(100):
            tell("choosing", step / 100)
        seen.extend(builds(tmp_path))
        return b"plan"

    PlanCache(tmp_path).get(KEY, build)
    [running] = seen
    assert (running.weights_digest, running.capability, running.precision) == (KEY.weights_digest, "8.9", "fp32")
    assert (running.phase, running.share) == ("choosing", 0.9)
    assert sum("choosing" in message for message in caplog.messages) == 10
    [done] = builds(tmp_path)
    assert (done.library, done.phase, done.share) == (KEY.library, None, None)
    assert running.seconds >= 0
    assert done.seconds >= 0
    assert not list(tmp_path.glob("*.building"))


def test_a_build_whose_process_died_is_no_longer_seen(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_die_suddenly, args=(tmp_path,))
    process.start()
    process.join()
    assert list(tmp_path.glob("*.building"))
    assert builds(tmp_path) == []


def test_timings_are_one_for_all_networks_of_a_library_on_a_gpu_and_damaged_ones_are_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = PlanCache(tmp_path)
    assert cache.timings(KEY) == b""
    cache.keep_timings(KEY, b"measured\nonce")
    other_network = replace(KEY, weights_digest="b" * 64, precision="fp16", profiles={})
    assert cache.timings(other_network) == b"measured\nonce"
    assert cache.timings(replace(KEY, capability="12.0")) == b""
    assert cache.timings(replace(KEY, library="tensorrt 11.0")) == b""
    assert builds(tmp_path) == []
    [path] = tmp_path.glob("*.timings")
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.timings(KEY) == b""
    assert "damaged" in caplog.text
