"""Which studies are worth correcting next: entropy and disagreement of versions against foreground-aware random.

Simulated readers on simulated studies, a small network, a seed a repetition. Every strategy begins from the same first
studies and the same network; only what is chosen differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, stats
from torch import nn

from load_tests.record import Figure, Measured
from services.datasets.choosing import Candidate, Strategy, choose, predictive_entropy

SIZE, SLICES = 24, 8
POOL, HELD_OUT = 60, 40
FIRST, EACH, ROUNDS = 6, 6, 2
STEPS, BATCH = 80, 384
SHOWING = 0.35
"""Share of the studies with a lesion; of the others nobody learns a lesion's look."""

RARE_SCANNER = 0.2
SEEN = 0.8
"""Probability from which on a pixel is marked: a third of what the network learned from was marked."""


@dataclass(frozen=True, eq=False)
class Study:
    """images: float32 (slices, size, size); truth: bool of the same shape; scanner: which of two."""

    images: NDArray[np.float32]
    truth: NDArray[np.bool_]
    scanner: str


def draw_study(rng: np.random.Generator) -> Study:
    """Uneven tissue, with or without a lesion that is brighter; the rarer scanner is noisy and shows lesions paler."""
    rare = bool(rng.random() < RARE_SCANNER)
    images = ndimage.gaussian_filter(rng.normal(0, 1, (SLICES, SIZE, SIZE)), (0.5, 3, 3)) * 3
    truth = np.zeros(images.shape, np.bool_)
    if rng.random() < SHOWING:
        z, y, x = np.ogrid[:SLICES, :SIZE, :SIZE]
        centre = rng.uniform((1, 5, 5), (SLICES - 2, SIZE - 6, SIZE - 6))
        radius = np.exp(rng.uniform(np.log(1.6), np.log(5.0)))
        away = ((z - centre[0]) * 1.5) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
        truth |= away < radius**2
        images += truth * rng.uniform(0.7, 1.6) * (0.7 if rare else 1.0)
    images += rng.normal(0, 0.55 if rare else 0.3, images.shape)
    return Study(images.astype(np.float32), truth, "rare" if rare else "common")


def read(truth: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """What a reader draws: a border that wanders, and of the smallest lesions one in five missed."""
    if truth.sum() < 30 and rng.random() < 0.2:
        return np.zeros_like(truth)
    wander = ndimage.gaussian_filter(rng.normal(0, 1, truth.shape), (0.5, 1.5, 1.5)) * 2.5
    distance = ndimage.distance_transform_edt(truth) - ndimage.distance_transform_edt(~truth)
    drawn: NDArray[np.bool_] = truth.any() & (distance + wander > 0)
    return drawn


def features(study: Study) -> NDArray[np.float32]:
    """What the network sees of every pixel, (slices, size, size, 5): itself, and its surroundings at four widths."""
    widths = ((0, 1, 1), (0.5, 2, 2), (1, 3, 3), (1, 5, 5))
    smooth = [ndimage.gaussian_filter(study.images, width) for width in widths]
    return np.stack([study.images, *smooth], axis=-1)


def train(seen: Sequence[NDArray[np.float32]], drawn: Sequence[NDArray[np.bool_]], seed: int) -> nn.Module:
    """A network from the beginning, on the studies read so far; a third of each batch is what readers drew."""
    torch.manual_seed(seed)
    network, rng = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 1)), np.random.default_rng(seed)
    pixels = np.concatenate([each.reshape(-1, 5) for each in seen])
    marked = np.concatenate([each.ravel() for each in drawn])
    inside, outside = np.flatnonzero(marked), np.flatnonzero(~marked)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-2)
    for _ in range(STEPS):
        chosen = np.concatenate([rng.choice(inside, BATCH // 3), rng.choice(outside, BATCH - BATCH // 3)])
        logits = network(torch.from_numpy(pixels[chosen]))[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(marked[chosen]).float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


@torch.no_grad()
def look(network: nn.Module, seen: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Probabilities (studies, slices, size, size)."""
    return np.asarray(network(torch.from_numpy(np.stack(seen)))[..., 0].sigmoid().numpy(), np.float32)


def score(network: nn.Module, studies: Sequence[Study], seen: Sequence[NDArray[np.float32]]) -> float:
    """Mean Dice over the studies with a lesion."""
    answers = look(network, seen) >= SEEN
    return mean(
        float(overlap(answer, study.truth)) for answer, study in zip(answers, studies, strict=True) if study.truth.any()
    )


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    marked = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / marked if marked else 1.0


def candidates(
    left: Sequence[int],
    studies: Sequence[Study],
    seen: Sequence[NDArray[np.float32]],
    network: nn.Module,
    before: nn.Module,
) -> list[Candidate]:
    """The studies left as `choose` sees those of a site: `before` is the version that answered beside this one."""
    left_seen = [seen[k] for k in left]
    now, then = look(network, left_seen), look(before, left_seen)
    found = []
    for k, p, q in zip(left, now, then, strict=True):
        # A slice is as suspicious as its most suspicious pixels.
        slices = np.sort(p.reshape(SLICES, -1), axis=1)[:, -6:].mean(axis=1)
        found.append(
            Candidate(
                analysis_id=k,
                patient=str(k),
                scanner=studies[k].scanner,
                marks=bool((p >= SEEN).any()),
                entropy=predictive_entropy({"lesion": slices.tolist()}),
                disagreement=1 - overlap(p >= SEEN, q >= SEEN),
            )
        )
    return found


def repeat(seed: int, strategies: Sequence[Strategy], rounds: int) -> dict[Strategy, list[float]]:
    """Dice on held-out studies after the first studies and after each round, by strategy."""
    rng = np.random.default_rng([7, seed])
    studies = [draw_study(rng) for _ in range(POOL)]
    held_out = [draw_study(rng) for _ in range(HELD_OUT)]
    drawn = [read(study.truth, rng) for study in studies]
    seen, held_out_seen = [features(study) for study in studies], [features(study) for study in held_out]
    first = [int(k) for k in rng.choice(POOL, FIRST, replace=False)]
    # Nobody begins with nothing to see: one of the first studies shows a lesion.
    if not any(drawn[k].any() for k in first):
        first[0] = next(k for k in range(POOL) if drawn[k].any())
    start = train([seen[k] for k in first], [drawn[k] for k in first], seed)
    before_start = train([seen[k] for k in first], [drawn[k] for k in first], seed + 1000)
    begun = score(start, held_out, held_out_seen)
    found = {}
    for strategy in strategies:
        known, network, before, scores = list(first), start, before_start, [begun]
        for number in range(rounds):
            left = [k for k in range(POOL) if k not in known]
            chosen = choose(candidates(left, studies, seen, network, before), strategy, EACH, seed=seed * 100 + number)
            known += [each.analysis_id for each in chosen]
            before = network
            network = train([seen[k] for k in known], [drawn[k] for k in known], seed)
            scores.append(score(network, held_out, held_out_seen))
        found[strategy] = scores
    return found


def measure(scratch: Path, *, quick: bool) -> Measured:  # noqa: ARG001
    """All strategies on every seed; differences to foreground-aware random are paired by seed."""
    torch.set_num_threads(1)
    seeds, rounds = (2, 1) if quick else (20, ROUNDS)
    runs = [repeat(seed, tuple(Strategy), rounds) for seed in range(seeds)]
    figures = [Figure(f"Dice after the first {FIRST} studies", mean(run[Strategy.RANDOM][0] for run in runs), "")]
    for number in range(1, rounds + 1):
        count = FIRST + EACH * number
        by_random = np.array([run[Strategy.RANDOM][number] for run in runs])
        figures.append(Figure(f"Dice after {count} studies, random", float(by_random.mean()), ""))
        for strategy in (Strategy.ENTROPY, Strategy.DISAGREEMENT):
            scores = np.array([run[strategy][number] for run in runs])
            figures += [
                Figure(f"Dice after {count} studies, {strategy}", float(scores.mean()), ""),
                Figure(f"... less random, {count} studies, {strategy}", float((scores - by_random).mean()), ""),
                Figure(f"... p of that, {count} studies, {strategy}", p_value(scores - by_random), ""),
            ]
    return Measured(
        f"Simulated studies, {SLICES} slices of {SIZE} x {SIZE}, {SHOWING:.0%} with a lesion, two scanners; simulated "
        "readers whose borders wander and who miss some of the smallest lesions; a network of one "
        "hidden layer on each pixel and its smoothed surroundings, trained anew on all that was read. "
        f"{FIRST} studies first, then {EACH} a round of {POOL}. Mean Dice with the truth of {HELD_OUT} other studies "
        f"(those with a lesion), {seeds} seeds; p: Wilcoxon's signed-rank test, two sides, paired by seed, "
        "uncorrected. No clinical accuracy.",
        tuple(figures),
    )


def p_value(differences: NDArray[np.float64]) -> float:
    """Of Wilcoxon's signed-rank test; 1 where nothing differs."""
    return float(stats.wilcoxon(differences).pvalue) if np.any(differences) else 1.0
