"""What the network of tumours learns from a pool, and how its answers are judged."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.growing import NOTHING, GrowingPool, with_neighbours
from models.training import Plan, learn, move
from models.tumour.network import REGIONS, ROLES
from models.tumour.train.pool import INSIDE, LEFT, LEVEL, SMALL, VENTRICLES, VIEW, Case
from models.tumour.train.scanner import BODY, ENHANCING, WHOLE
from models.unet.grow import begin
from models.unet.network import SliceUNet

CHANNELS = 3 * len(ROLES)
OUTPUTS = REGIONS + 1
"""The regions, and the inside of the skull, to which they are cut."""

MIDDLE = 2
"""Lateral ventricles and the patient's left half: learned by a small network of its own."""

WIDTHS, MIDDLE_WIDTHS = (24, 48, 96, 160, 208), (12, 20, 32, 48, 64)
COLUMNS = 96
"""Of the 128; a head is narrower than long."""

TUMOUR_SHARE = 0.72
"""Of the slices of a batch, those that show tumour: each of the kinds below equally often."""

HARDEST = 0.1
"""Share of the pixels, those that are most wrong, whose cross-entropy counts."""

SMALL_WEIGHT = 2.0
INSIDE_WEIGHT = 0.2
ALONE_SHARE = 0.05
STRIPPED_SHARE = 0.4
DROPPED_SHARE = 0.3
"""Of the slices, those that lack a sequence."""

SEEN_PIXELS = 6

Images = NDArray[np.float32]
Marks = NDArray[np.uint8]


def new_network() -> SliceUNet:
    """(batch, 12, size, size) of `models.tumour.network.stack` to (batch, 4, size, size) logits."""
    return SliceUNet(CHANNELS, OUTPUTS, WIDTHS)


def new_middle() -> SliceUNet:
    """Likewise, to (batch, 2, size, size) logits: lateral ventricles, left."""
    return SliceUNet(CHANNELS, MIDDLE, MIDDLE_WIDTHS)


class Both(nn.Module):
    """What is served: the regions and the inside of the skull by one network, ventricles and left by another."""

    def __init__(self, regions: SliceUNet, middle: SliceUNet) -> None:
        super().__init__()
        self.regions, self.middle = regions, middle

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.regions(x), self.middle(x)], dim=1)


def new_both() -> Both:
    """Untrained."""
    return Both(new_network(), new_middle())


def train(pool: Path, out: Path, plan: Plan, *, resume: bool, start: Path | None = None, middle: bool = False) -> Path:
    """Train on the pool's cases for training; returns the checkpoint.

    Args:
        middle: the small network rather than that of the regions.
        start: a checkpoint or an ONNX whose weights are the first ones of a new run; its network may be smaller.
    """
    network = (new_middle() if middle else new_network()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    cases = Cases(pool)

    def loss_of(rng: np.random.Generator) -> Tensor:
        images, target, weight = augment(*cases.batch(plan.batch, rng), rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):  # twice as fast where the CPU multiplies bfloat16
            logits = network(images.contiguous(memory_format=torch.channels_last))
        if middle:
            return judge_middle(logits.float(), target[:, OUTPUTS:], weight[:, OUTPUTS:])
        return judge(logits.float(), target[:, :OUTPUTS], weight[:, :OUTPUTS])

    if start is not None:
        begin(network, start, partial(loss_of, np.random.default_rng(plan.seed)), "middle" if middle else "regions")
    return learn(network, loss_of, out, plan, resume=resume, looked=cases.refresh)


class Cases(GrowingPool[Case]):
    """The cases for training."""

    def __init__(self, pool: Path) -> None:
        super().__init__(pool, "train", (WHOLE, BODY, ENHANCING, SMALL))
        if not self.items:
            raise SystemExit(f"--pool {pool}: no cases for training there. Make some: models.tumour.train.pool.")

    def read(self, path: Path) -> Case:
        return Case.load(path)

    def kinds_of(self, case: Case) -> Iterator[tuple[int, int]]:
        for k, marks in enumerate(case.marks):
            shown = [bit for bit in (WHOLE, BODY, ENHANCING, SMALL) if ((marks & bit) > 0).sum() >= SEEN_PIXELS]
            # A slice counts once, for the innermost region it shows; small tumours count by themselves as well.
            inner = [bit for bit in (ENHANCING, BODY, WHOLE) if bit in shown][:1]
            yield from ((bit, k) for bit in {*inner, *({SMALL} & set(shown))})
            if not (marks & WHOLE).any():
                yield NOTHING, k

    def batch(self, size: int, rng: np.random.Generator) -> tuple[Images, Marks]:
        """Slices with their neighbours, (size, 12, rows, columns), usual signal 1, and their marks, (size, 1, ...)."""
        images, marks = [], []
        for _ in range(size):
            case, k = self.draw(TUMOUR_SHARE, rng)
            around = with_neighbours(k, len(case.marks), ALONE_SHARE, rng)
            # Upside down is as good.
            around = around[::-1] if rng.random() < 0.5 else around
            images.append(case.images[:, around].reshape(CHANNELS, *case.marks.shape[1:]))
            marks.append(case.marks[k][None])
        return np.stack(images).astype(np.float32) / np.float32(LEVEL), np.stack(marks)


def augment(images: Images, marks: Marks, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Move; change gain, contrast, coil, noise and sharpness of each sequence; strip skulls; leave sequences away.

    Returns:
        Images (batch, 12, size, COLUMNS); targets, and their weights, (batch, OUTPUTS + MIDDLE, size, COLUMNS) each.
    """
    size, roles = len(images), len(ROLES)
    moved, target, mirrored = move(torch.from_numpy(images), torch.from_numpy(marks), rng, columns=COLUMNS)
    rows, columns = moved.shape[2:]
    seen = moved.reshape(size, roles, 3, rows, columns)

    def each(values: NDArray[np.float64] | NDArray[np.bool_]) -> Tensor:
        """One value a slice and role."""
        return torch.from_numpy(values.astype(np.float32))[:, :, None, None, None]

    shape = (size, roles)
    down = torch.linspace(-1, 1, rows)[:, None]
    across = torch.linspace(-1, 1, columns)[None]
    coil = 1 + each(rng.normal(0, 0.08, shape)) * down + each(rng.normal(0, 0.08, shape)) * across
    seen = seen * coil * each(np.exp(rng.normal(0, 0.13, shape)))
    seen = seen.clamp(min=0) ** each(np.exp(rng.normal(0, 0.13, shape)))
    noise = each(np.clip(rng.uniform(-0.05, 0.09, shape), 0, None))
    seen = (seen + noise * torch.randn(seen.shape)).abs()
    blurred = nn.functional.avg_pool2d(seen.flatten(0, 1), 3, stride=1, padding=1).reshape(seen.shape)
    share = each(rng.random(shape) * (rng.random(shape) < 0.3))
    seen = seen * (1 - share) + blurred * share
    stripped = torch.from_numpy(rng.random(size) < STRIPPED_SHARE)[:, None, None, None, None]
    inside = ((target & INSIDE) > 0)[:, None]
    seen = torch.where(inside | ~stripped, seen, torch.zeros(()))
    left_away = np.zeros(shape, bool)
    lacking = rng.random(size) < DROPPED_SHARE
    left_away[np.flatnonzero(lacking), rng.integers(roles, size=int(lacking.sum()))] = True
    given = 1 - each(left_away)
    seen = (seen.clamp(*VIEW.window) - VIEW.centre) / VIEW.scale * given
    marked = target[:, 0]
    bits = (WHOLE, BODY, ENHANCING, INSIDE, VENTRICLES, LEFT)
    targets = torch.stack([(marked & bit) > 0 for bit in bits], dim=1)
    targets[:, -1] ^= mirrored
    weight = torch.ones(targets.shape)
    # Left and right mean something inside the skull alone.
    weight[:, -1] = targets[:, REGIONS].float()
    weight[:, :REGIONS][((marked & SMALL) > 0)[:, None].expand(-1, REGIONS, -1, -1)] = SMALL_WEIGHT
    # What enhances cannot be known without contrast.
    weight[:, REGIONS - 1] *= given[:, ROLES.index("T1c"), 0]
    return seen.reshape(size, CHANNELS, rows, columns), targets.float(), weight


def judge(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Of every region the cross-entropy of the most wrong pixels and soft Dice over the batch; some of the skull's."""
    each = nn.functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="none")

    def hardest(channel: int) -> Tensor:
        wrong = each[:, channel].flatten()
        return wrong.topk(int(HARDEST * len(wrong)), sorted=False).values.mean()

    loss = INSIDE_WEIGHT * (each[:, REGIONS].mean() + hardest(REGIONS))
    for region in range(REGIONS):
        loss = loss + hardest(region)
        p, truth, w = logits[:, region].sigmoid(), target[:, region], weight[:, region]
        loss = loss + 1 - (2 * (p * truth * w).sum() + 1) / (((p + truth) * w).sum() + 1)
    return loss / REGIONS


def judge_middle(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of all pixels alike: where the most wrong count, saying nothing of left and right costs least."""
    return nn.functional.binary_cross_entropy_with_logits(logits, target, weight)
