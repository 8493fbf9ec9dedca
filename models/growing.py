"""A pool of cases that may still be growing, in memory; slices are drawn by what they show."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Case = TypeVar("Case")

NOTHING = 0
"""The kind of a slice that shows nothing that is sought."""


class GrowingPool(ABC, Generic[Case]):
    """The cases of one part that are on disk."""

    def __init__(self, folder: Path, part: str, kinds: Sequence[int]) -> None:
        self._folder, self._part = folder, part
        self.items: list[Case] = []
        self._seen: set[str] = set()
        self._showing: dict[int, list[tuple[int, int]]] = {kind: [] for kind in (NOTHING, *kinds)}
        self.refresh()

    @abstractmethod
    def read(self, path: Path) -> Case:
        """A case from its file."""

    @abstractmethod
    def kinds_of(self, case: Case) -> Iterator[tuple[int, int]]:
        """Kinds with the slices that show them."""

    def refresh(self) -> dict[str, float]:
        """Read the cases that have come since."""
        for path in sorted(self._folder.glob(f"{self._part}-*.npz")):
            if path.name in self._seen:
                continue
            self._seen.add(path.name)
            case = self.read(path)
            for kind, k in self.kinds_of(case):
                self._showing[kind].append((len(self.items), k))
            self.items.append(case)
        return {"cases": len(self.items)}

    def draw(self, share: float, rng: np.random.Generator) -> tuple[Case, int]:
        """A case and a slice of it; of this share of all draws it shows something, every kind equally often."""
        kinds = [kind for kind, slices in self._showing.items() if kind != NOTHING and slices]
        kind = kinds[rng.integers(len(kinds))] if kinds and rng.random() < share else NOTHING
        source = self._showing[kind]
        number, k = source[rng.integers(len(source))]
        return self.items[number], k


def with_neighbours(
    k: int, slices: int, alone_share: float, rng: np.random.Generator, neighbours: Sequence[int] = (-1, 0, 1)
) -> NDArray[np.intp]:
    """The slices at these distances from k, the last one beyond the ends; for this share of all calls k for each."""
    reach = 0 if rng.random() < alone_share else 1
    return np.array([min(max(k + reach * distance, 0), slices - 1) for distance in neighbours])
