"""What the network of the ischaemic core learns from a pool, and how its answers are judged."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.ais.network import ADC_CENTRE, ADC_SCALE, HIGHEST_ADC
from models.ais.train.pool import CORE, INSIDE, SMALL, TINY, VIEW, Case
from models.growing import NOTHING, GrowingPool, with_neighbours
from models.training import Loss, Plan, learn, move
from models.unet.committee import ANOTHER, PLAIN, Mean
from models.unet.grow import begin
from models.unet.network import SliceUNet

CHANNELS = 6
OUTPUTS = 2
"""Core, and the inside of the skull, which is learned beside it and not used."""

WIDTHS = (32, 56, 96, 128, 160)
COLUMNS = 128
"""Of the 160; a head is narrower than long."""

CORE_SHARE = 0.62
"""Of the slices of a batch, those that show core; tiny, small and large parts equally often."""

ALONE_SHARE = 0.05
HARDEST = 0.1
"""Share of the pixels, those that are most wrong, whose cross-entropy counts."""

WEIGHTS = {TINY: 4.0, SMALL: 2.0}
"""Of a pixel of a small part of core; of all others 1."""

STEPS_A_CASE = 8
STRIPPED, MAP_STRIPPED = 0.25, 0.15
SEEN_PIXELS = 4

Images = NDArray[np.float32]
Marks = NDArray[np.uint8]


def new_network() -> SliceUNet:
    """(batch, 6, size, size) of `models.ais.network.stack` to (batch, 2, size, size) logits."""
    return SliceUNet(CHANNELS, OUTPUTS, WIDTHS)


def new_pair() -> Mean:
    """What is served since 0.7.0, untrained."""
    return Mean({PLAIN: new_network(), ANOTHER: new_network()})


def train(
    pool: Path, out: Path, plan: Plan, *, resume: bool, start: Path | None = None, more: Iterator[Path] | None = None
) -> Path:
    """Train on the pool's cases for training; returns the checkpoint.

    Args:
        start: a checkpoint or an ONNX whose weights are the first ones of a new run; its network may be smaller.
        more: makes another case whenever it is asked, between two steps: one core does both.
    """
    network = new_network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    cases = Cases(pool)
    loss_of = loss_on(network, cases, plan.batch)
    if start is not None:
        begin(network, start, partial(loss_of, np.random.default_rng(plan.seed)), ANOTHER)
    steps = count(1)

    def next_loss(rng: np.random.Generator) -> Tensor:
        if more is not None and next(steps) % STEPS_A_CASE == 0:
            next(more, None)
        return loss_of(rng)

    return learn(network, next_loss, out, plan, resume=resume, looked=cases.refresh)


def loss_on(network: Callable[[Tensor], Tensor], cases: "Cases", size: int) -> Loss:
    """The loss of a batch of so many slices, drawn anew at each call."""

    def loss_of(rng: np.random.Generator) -> Tensor:
        images, core, inside, weight = augment(*cases.batch(size, rng), rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):  # twice as fast where the CPU multiplies bfloat16
            logits = network(images.contiguous(memory_format=torch.channels_last))
        return judge(logits.float(), core, inside, weight)

    return loss_of


class Cases(GrowingPool[Case]):
    """The cases for training."""

    def __init__(self, pool: Path) -> None:
        super().__init__(pool, "train", (CORE, SMALL, TINY))
        if not self.items:
            raise SystemExit(f"--pool {pool}: no cases for training there. Make some: models.ais.train.pool.")

    def read(self, path: Path) -> Case:
        return Case.load(path)

    def kinds_of(self, case: Case) -> Iterator[tuple[int, int]]:
        for k, marks in enumerate(case.marks):
            tiny, small, core = (int(((marks & bit) > 0).sum()) for bit in (TINY, SMALL, CORE))
            for bit, pixels in ((TINY, tiny), (SMALL, small - tiny), (CORE, core - small)):
                if pixels >= SEEN_PIXELS:
                    yield bit, k
            if core == 0:
                yield NOTHING, k

    def batch(self, size: int, rng: np.random.Generator) -> tuple[Images, Images, Marks]:
        """Random slices with their neighbours: DWI, ADC and marks, (size, 3, rows, columns) each."""
        chosen = []
        for _ in range(size):
            case, k = self.draw(CORE_SHARE, rng)
            around = with_neighbours(k, len(case.dwi), ALONE_SHARE, rng)
            # Upside down is as good.
            around = around[::-1] if rng.random() < 0.5 else around
            chosen.append((case.dwi[around], case.adc[around], case.marks[around]))
        dwi, adc, marks = (np.stack(parts) for parts in zip(*chosen, strict=True))
        return dwi.astype(np.float32), adc.astype(np.float32), marks


def augment(dwi: Images, adc: Images, marks: Marks, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Move, turn, mirror and scale in the plane; change gain, coil, noise and sharpness; strip skulls; normalise.

    Returns:
        Images (batch, 6, size, COLUMNS); core, inside and the pixels' weights, (batch, size, COLUMNS) each.
    """
    size = len(dwi)
    both = torch.from_numpy(np.concatenate([dwi, adc], axis=1))
    moved, target, _ = move(both, torch.from_numpy(marks), rng, columns=COLUMNS)
    bright, water = moved[:, :3], moved[:, 3:]

    def each(values: NDArray[np.float64] | NDArray[np.bool_]) -> Tensor:
        return torch.from_numpy(values.astype(np.float32))[:, None, None, None]

    down = torch.linspace(-1, 1, bright.shape[2])[:, None]
    across = torch.linspace(-1, 1, bright.shape[3])[None]
    coil = 1 + each(rng.normal(0, 0.07, size)) * down + each(rng.normal(0, 0.07, size)) * across
    bright = bright * coil * each(np.exp(rng.normal(0, 0.08, size)))
    bright = bright.clamp(min=0) ** each(np.exp(rng.normal(0, 0.08, size)))
    noise = each(np.clip(rng.uniform(-0.05, 0.08, size), 0, None))
    bright = (bright + noise * torch.randn(bright.shape)).abs()
    known = (water > 0).float()
    water = water * each(rng.normal(1, 0.03, size)) + noise * 800 * torch.randn(water.shape)
    blurred = nn.functional.avg_pool2d(torch.cat([bright, water], dim=1), 3, stride=1, padding=1)
    share = each(rng.random(size) * (rng.random(size) < 0.35))
    bright = bright * (1 - share) + blurred[:, :3] * share
    water = (water * (1 - share) + blurred[:, 3:] * share) * known
    inside = (target & INSIDE) > 0
    kind = rng.random(size)
    bright = torch.where(inside | each(kind > STRIPPED).bool(), bright, torch.zeros(()))
    water = torch.where(inside | each(kind > STRIPPED + MAP_STRIPPED).bool(), water, torch.zeros(()))
    images = torch.cat(
        [
            (bright.clamp(*VIEW.window) - VIEW.centre) / VIEW.scale,
            (water.clamp(0, HIGHEST_ADC) - ADC_CENTRE) / ADC_SCALE,
        ],
        dim=1,
    )
    middle = target[:, 1]
    weight = torch.ones(middle.shape)
    for bit in (SMALL, TINY):
        weight[(middle & bit) > 0] = WEIGHTS[bit]
    return images, ((middle & CORE) > 0).float(), inside[:, 1].float(), weight


def judge(logits: Tensor, core: Tensor, inside: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of the most wrong pixels, soft Dice over the batch, and a little for the inside of the skull."""
    each = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], core, weight, reduction="none").flatten()
    entropy = each.topk(int(HARDEST * len(each)), sorted=False).values.mean()
    p = logits[:, 0].sigmoid() * weight
    dice = 1 - (2 * (p * core).sum() + 1) / ((p + core * weight).sum() + 1)
    aside = nn.functional.binary_cross_entropy_with_logits(logits[:, 1], inside)
    return entropy + dice + 0.2 * aside
