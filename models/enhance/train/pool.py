"""The pool of slices to learn from, on disk, and which volumes are kept from it."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.enhance.train.slices import DrawnHead, RealVolume, draw_shapes

HELD_OUT = ("papaya_pd", "utah_t1")
"""Real volumes that training never sees, whole, by the beginning of their names: a PD and a T1."""

HELD_OUT_MAPS = 4
"""The last so many label maps are kept for evaluation, as the other models keep them."""

PER_FILE = 60
KINDS = {"real": 0.6, "drawn": 0.25, "shapes": 0.15}
"""Of slices, and how often each is learned from."""


def fill(mr: Path, labelmaps: Path, out: Path, *, real: int, drawn: int, shapes: int, seed: int) -> None:
    """Write files of PER_FILE slices, half-precision; a file depends on its number and `seed` alone.

    Args:
        mr: folder of real volumes (NIfTI); those of HELD_OUT are left out.
        real, drawn, shapes: how many files of each kind.
    """
    out.mkdir(parents=True, exist_ok=True)
    whole = [RealVolume.read(path) for path in sorted(mr.glob("*.nii.gz")) if not path.name.startswith(HELD_OUT)]
    volumes = [*whole, *(volume.quiet() for volume in whole)]
    maps = sorted(labelmaps.glob("*.nii.gz"))[:-HELD_OUT_MAPS]
    if not volumes or not maps:
        raise SystemExit(f"--mr {mr} and --labelmaps {labelmaps} must both hold *.nii.gz to learn from.")
    for number in range(max(real, drawn, shapes)):
        if number < real:
            rng = np.random.default_rng([seed, number, 0])
            _write(out / f"real-{number:03d}.npy", partial(_draw_real, volumes, rng))
        if number < shapes:
            rng = np.random.default_rng([seed, number, 2])
            _write(out / f"shapes-{number:03d}.npy", partial(draw_shapes, rng))
        if number < drawn:
            rng = np.random.default_rng([seed, number, 1])
            path = out / f"drawn-{number:03d}.npy"
            if not path.exists():
                head = DrawnHead(maps[number % len(maps)], rng)
                _write(path, partial(head.draw, rng))


def _draw_real(volumes: Sequence[RealVolume], rng: np.random.Generator) -> NDArray[np.float32]:
    return volumes[int(rng.integers(len(volumes)))].draw(rng)


def _write(path: Path, draw: Callable[[], NDArray[np.float32]]) -> None:
    if path.exists():
        return
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, np.stack([draw() for _ in range(PER_FILE)]).astype(np.float16))
    part.rename(path)


class Pool:
    """The slices that are on disk so far, in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[str] = set()
        self._kinds: dict[str, list[NDArray[np.float16]]] = {kind: [] for kind in KINDS}
        self.refresh()

    def refresh(self) -> None:
        for path in sorted(self._folder.glob("*.npy")):
            if path.name not in self._seen:
                self._seen.add(path.name)
                self._kinds[path.name.split("-")[0]].append(np.load(path))

    def __len__(self) -> int:
        return sum(len(part) for parts in self._kinds.values() for part in parts)

    def draw(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """One slice, (CANVAS, CANVAS)."""
        there = [kind for kind in KINDS if self._kinds[kind]]
        shares = np.array([KINDS[kind] for kind in there])
        parts = self._kinds[there[int(rng.choice(len(there), p=shares / shares.sum()))]]
        part = parts[rng.integers(len(parts))]
        return np.asarray(part[rng.integers(len(part))], np.float32)
