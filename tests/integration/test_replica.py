"""One replica without its cluster: what overtakes inside it, what its health check sees, how it ends."""

import asyncio
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.window_network import write_model

from models.adding import add_model
from models.engines import Tensors
from models.engines.turns import Turns
from models.errors import OutOfMemory
from models.registry import use_shelf
from models.shelf import Shelf
from models.volume import Volume

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own use of what it imports
    from services.inference.deployment import Replica

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
LONG_S = 60.0


class Watched:
    """Answers nothing found; `during` happens while a tile runs, and is told the image's brightest value."""

    name = "watched 1 float32"

    def __init__(self, during: Callable[[float], None]) -> None:
        self.during = during

    def run(self, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        image = inputs["image"]
        self.during(round(float(image.max()) * 100))
        return {"logits": np.zeros((len(image), 2, *image.shape[2:]), np.float32)}


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    add_model(write_model(tmp_path / "model"), Shelf(tmp_path / "shelf"))
    replica = Replica("brought", 1, "onnxruntime", LONG_S, models_dir=tmp_path / "shelf")
    replica._turns = Turns(tmp_path / "turns", room=1, patience_s=LONG_S)
    yield replica
    use_shelf(None)


def watch(replica: Replica, during: Callable[[float], None]) -> None:
    assert replica._engine is not None
    replica._engine._engine = Watched(during)


def image(value: float, slices: int = 60) -> dict[str, Volume]:
    """Of several tiles, all of one value."""
    positions = np.arange(slices)[:, None] * np.array([0.0, 0.0, 2.0])
    voxels = np.full((slices, 64, 64), value, np.float32)
    return {"NCCT": Volume(voxels, positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0))}


def test_an_urgent_request_overtakes_between_two_tiles(replica: Replica) -> None:
    routine_runs, urgent_runs = threading.Event(), threading.Event()
    log: list[float] = []

    def during(value: float) -> None:
        log.append(value)
        if value == 20:
            urgent_runs.set()
        elif not routine_runs.is_set():
            routine_runs.set()
            assert urgent_runs.wait(LONG_S)

    watch(replica, during)

    async def both() -> None:
        routine = asyncio.create_task(replica.analyse(image(10.0), 10))
        assert await asyncio.to_thread(routine_runs.wait, LONG_S)
        urgent = asyncio.create_task(replica.analyse(image(20.0), 40))
        await asyncio.gather(routine, urgent)

    asyncio.run(both())
    tiles = log.count(20)
    assert tiles > 2
    assert log == [10] + tiles * [20] + (tiles - 1) * [10], "all of its tiles before the routine one's second"


def test_an_answer_names_the_code_and_what_memory_did_not_allow(replica: Replica) -> None:
    def parameters() -> dict[str, float | str]:
        return asyncio.run(replica.analyse(image(10.0))).prediction.parameters

    assert parameters()["Nightjar"] == version("nightjar")
    assert str(parameters()["engine"]).endswith(" float32")
    assert "memory" not in parameters()

    def scarce(_: float) -> None:
        raise OutOfMemory("There was not enough memory.")

    watch(replica, scarce)
    assert parameters()["memory"] == "There was not enough memory. It answered with 2 tiles at a time in place of 4."


def test_where_nothing_is_left_to_do_without_the_replica_ends_itself(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr("services.inference.deployment.RECYCLE_S", 0.0)

    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("models.sliding.model.frame_of", no_memory)

    async def ask() -> None:
        with pytest.raises(OutOfMemory, match=r"not enough memory for this study \(brought\)"):
            await replica.analyse(image(10.0))
        await asyncio.sleep(0.01)

    asyncio.run(ask())
    assert ended == [1]


def test_a_network_that_hangs_is_unhealthy_at_work_and_idle(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.engines.steady.HANGING_S", 0.2)
    monkeypatch.setattr("models.engines.steady.SLOWER", 0)
    hanging, go_on = threading.Event(), threading.Event()

    def hang(_: float) -> None:
        hanging.set()
        assert go_on.wait(LONG_S)

    async def unhealthy() -> None:
        with pytest.raises(RuntimeError, match="takes far longer than usual"):
            while True:
                await replica.check_health()
                await asyncio.sleep(0.02)

    async def check() -> None:
        await replica.check_health()
        watch(replica, hang)
        await unhealthy()  # idle: its own tile hangs
        go_on.set()
        while replica._probing is None or not replica._probing.done():
            await asyncio.sleep(0.01)
        await replica.check_health()
        go_on.clear()
        hanging.clear()
        work = asyncio.create_task(replica.analyse(image(10.0)))
        assert await asyncio.to_thread(hanging.wait, LONG_S)
        await unhealthy()
        with replica._turns.take(100, needs=1):  # a bleed has the processor: slow is not hanging
            await replica.check_health()
        await unhealthy()
        go_on.set()
        await work

    asyncio.run(check())
