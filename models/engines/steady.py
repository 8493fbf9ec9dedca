"""An engine for a server: it makes way between tiles, gets by with less memory, and can be asked whether it hangs."""

import gc
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from models.card import Card
from models.engines import Engine, EngineChoice, Tensors
from models.engines.turns import step_aside
from models.errors import OutOfMemory

HANGING_S = 3.5
"""A call is given so long whatever it usually takes."""
SLOWER = 10
"""A call that takes so many times what the slowest of the last ones took for as much hangs."""
FREE_AXIS = 64
"""Size of an axis that a network leaves free, where its answer does not matter."""

logger = logging.getLogger(__name__)


class SteadyEngine:
    """An engine around one that may have to be opened anew.

    What does not fit into memory is asked for in smaller parts, and stays so for as long as this object lives; its
    engine is closed and opened again first, which frees what it held. What does not fit one by one is asked of
    another engine where there is a spare one.

    Args:
        open_with: opens an engine, given its choice as `engine`.
        tile: shape of the smallest input that the network takes, by name.
        spare: taken when memory does not do for a single tile: the CPU's beside a GPU's.
    """

    def __init__(
        self,
        open_with: Callable[..., Engine],
        choice: EngineChoice,
        tile: Mapping[str, tuple[int, ...]],
        *,
        spare: EngineChoice | None = None,
    ) -> None:
        self._open_with, self._choice, self._spare = open_with, choice, spare
        self._tile = {name: np.zeros(shape, np.float32) for name, shape in tile.items()}
        self._engine: Engine | None = None
        self._lock = Lock()
        self._limit: int | None = None
        self._remark: str | None = None
        self._calls: dict[object, tuple[float, int]] = {}
        self._pace: deque[float] = deque(maxlen=16)
        self.probe()

    @property
    def name(self) -> str:
        return self._opened().name

    @property
    def remark(self) -> str | None:
        """Why it answers otherwise than it should, in a sentence; None: it does not."""
        return self._remark

    def run(self, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        size = len(next(iter(inputs.values())))
        parts: list[dict[str, NDArray[np.float32]]] = []
        start = 0
        while start < size:
            step_aside()
            count = min(size - start, self._limit or size)
            refused = None
            try:
                parts.append(self._call({name: array[start : start + count] for name, array in inputs.items()}))
                start += count
            except OutOfMemory as error:
                refused = str(error)
            if refused is not None:  # out here, for the exception holds the engine that is to be freed
                self._make_do(count, refused)
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def probe(self) -> None:
        """Run one small tile of zeros.

        Raises:
            EngineFailure: it could not.
        """
        self._call(self._tile)

    def hangs(self) -> bool:
        """Whether a call takes far longer than its like did."""
        now, pace = time.monotonic(), max(self._pace, default=0.0)
        return any(now - since > max(HANGING_S, SLOWER * pace * size) for since, size in list(self._calls.values()))

    def _call(self, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        key, size = object(), sum(array.size for array in inputs.values())
        self._calls[key] = (time.monotonic(), size)
        try:
            answer = self._opened().run(inputs)
        finally:
            since, _ = self._calls.pop(key)
        self._pace.append((time.monotonic() - since) / size)
        return answer

    def _opened(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = self._open_with(engine=self._choice)
            return self._engine

    def _make_do(self, count: int, refused: str) -> None:
        """Free what the engine holds, and ask for less from now on.

        Raises:
            OutOfMemory: there is no less.
        """
        with self._lock:
            self._engine = None
            gc.collect()
            if count > 1:
                self._limit = min(self._limit or count, count // 2)
                self._remark = f"{refused} It answered with {self._limit} tiles at a time in place of {count}."
            elif self._spare is not None:
                self._choice, self._spare, self._limit = self._spare, None, None
                self._remark = f"{refused} One tile was too much for it; the CPU answered."
            else:
                raise OutOfMemory(refused)
        logger.warning("%s", self._remark)


def smallest_tile(card: Card, weights: Path) -> dict[str, tuple[int, ...]]:
    """Shape of the smallest input that a card's network takes, by name."""
    from models.engines.onnx_runtime import tensor_shapes

    patch = () if card.sliding is None else card.sliding.patch
    shapes = {}
    for name, shape in tensor_shapes(weights)[0].items():
        free = (*[1] * (len(shape) - len(patch)), *patch) if patch else (1, 1, *[FREE_AXIS] * (len(shape) - 2))
        shapes[name] = tuple(size or other for size, other in zip((1, *shape[1:]), free, strict=True))
    return shapes
