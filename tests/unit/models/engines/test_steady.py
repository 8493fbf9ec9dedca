"""An engine that runs out of memory gets by with less; one that hangs is noticed."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from models.engines import Engine, EngineChoice, Tensors, open_engine
from models.engines.steady import SteadyEngine, smallest_tile
from models.errors import OutOfMemory
from models.registry import load_card, weights_of

TILE = {"slices": (1, 3, 8, 8)}


class Scarce:
    """Doubles its input; more than `fits` at a time is too much."""

    def __init__(self, fits: int, name: str = "gpu") -> None:
        self.fits, self.name = fits, name
        self.asked: list[int] = []

    def run(self, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        count = len(inputs["slices"])
        self.asked.append(count)
        if count > self.fits:
            raise OutOfMemory("The GPU has not enough memory (cuMemAlloc_v2).")
        return {"logits": inputs["slices"] * 2}


def slices(count: int) -> dict[str, NDArray[np.float32]]:
    return {"slices": np.random.default_rng(count).random((count, 3, 8, 8)).astype(np.float32)}


def test_what_does_not_fit_is_asked_in_parts_with_the_same_answer_and_says_so() -> None:
    opened: list[Scarce] = []

    def open_with(engine: EngineChoice) -> Engine:
        opened.append(Scarce(fits=3))
        return opened[-1]

    engine = SteadyEngine(open_with, "tensorrt", TILE)
    assert engine.remark is None
    given = slices(8)
    np.testing.assert_array_equal(engine.run(given)["logits"], given["slices"] * 2)
    assert len(opened) == 3, "opened anew each time, for that frees what it held"
    assert [scarce.asked for scarce in opened] == [[1, 8], [4], [2, 2, 2, 2]]
    assert engine.remark == (
        "The GPU has not enough memory (cuMemAlloc_v2). It answered with 2 tiles at a time in place of 4."
    )
    engine.run(slices(4))
    assert opened[-1].asked[-2:] == [2, 2], "what did not fit is not tried again"


def test_what_does_not_fit_at_all_is_asked_of_the_cpu_where_that_is_allowed() -> None:
    engines = {"tensorrt": Scarce(fits=1), "auto": Scarce(fits=99, name="openvino")}

    def open_with(engine: EngineChoice) -> Engine:
        return engines[engine]

    for spare in ("auto", None):
        engines["tensorrt"].fits = 1
        allowed = SteadyEngine(open_with, "tensorrt", TILE, spare="auto" if spare else None)
        engines["tensorrt"].fits = 0
        given = slices(2)
        if spare is None:
            with pytest.raises(OutOfMemory):
                allowed.run(given)
            continue
        np.testing.assert_array_equal(allowed.run(given)["logits"], given["slices"] * 2)
        assert allowed.name == "openvino"
        assert str(allowed.remark).endswith("One tile was too much for it; the CPU answered.")


def test_a_call_hangs_when_it_takes_far_longer_than_its_like(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("models.engines.steady.time.monotonic", lambda: now)
    seen: list[bool] = []
    during: list[Callable[[], None]] = []

    class Slow(Scarce):
        def run(self, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
            for happen in during:
                happen()
            return super().run(inputs)

    engine = SteadyEngine(lambda engine: Slow(fits=99), "auto", TILE)

    def take(seconds: float) -> Callable[[], None]:
        def pass_time() -> None:
            nonlocal now
            now += seconds
            seen.append(engine.hangs())

        return pass_time

    during[:] = [take(3.4), take(0.2)]
    engine.run(slices(1))
    assert seen == [False, True], "three and a half seconds whatever it usually takes"
    seen.clear()
    during[:] = [take(35.0), take(2.0)]
    engine.run(slices(1))
    assert seen == [False, True], "ten times what its like took"
    assert not engine.hangs()


@pytest.mark.parametrize("name", ["ich", "ais", "enhance"])
def test_every_shipped_network_answers_its_smallest_tile(name: str) -> None:
    card = load_card(name)
    tile = smallest_tile(card, weights_of(card))
    assert all(shape[0] == 1 for shape in tile.values())
    SteadyEngine(partial(open_engine, weights_of(card), threads=1), "auto", tile)
