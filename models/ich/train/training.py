"""What the network learns from a pool that may still be growing, and how its answers are judged."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.growing import NOTHING, GrowingPool, with_neighbours
from models.ich.preprocess import stacks
from models.ich.train.network import NEIGHBOURS, new_network
from models.ich.train.pool import INTRACRANIAL, LATERAL, LEFT, Case
from models.synthesis.bleeding import SUBTYPES
from models.training import Loss, Plan, learn, move
from models.unet.committee import CLASSES
from models.unet.grow import begin
from models.unet.network import SliceUNet

WINDOW_HU = (-20.0, 120.0)
CENTRE_HU, SCALE_HU = 50.0, 70.0
COLUMNS = 160
"""Of the 192; a head is narrower than long, and air teaches nothing."""

ALONE_SHARE = 0.12
"""Of the slices, those without neighbours: single images are looked at too."""

CLASS_WEIGHTS = (1.0, 1.5, 1.5, 2.0, 1.5, 2.0)
MASKS_WEIGHT = 0.4


BLEEDING_SHARE = 0.6
"""Of the slices of a batch; every subtype as often as every other, however many slices it covers."""


def train(
    pool: Path, out: Path, plan: Plan, *, resume: bool, start: Path | None = None, compiled: bool = False
) -> Path:
    """Train until the budget is used; returns the checkpoint, which is rewritten atomically as it goes.

    Args:
        start: a checkpoint or an ONNX whose weights are the first ones of a new run; its network may be smaller.
        compiled: needs a C++ compiler and a minute at the start; a fifth faster then.
    """
    torch.manual_seed(plan.seed)
    network = new_network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    cases = Cases(pool, "train", NEIGHBOURS)
    if start is not None:
        begin(network, start, partial(loss_on(network, cases, plan.batch), np.random.default_rng(plan.seed)))
    forward = torch.compile(network) if compiled else network
    return learn(network, loss_on(forward, cases, plan.batch), out, plan, resume=resume, looked=cases.refresh)


def loss_on(forward: Callable[[Tensor], Tensor], cases: "Cases", size: int) -> Loss:
    """The loss of a batch of so many slices, drawn anew at each call."""

    def loss_of(rng: np.random.Generator) -> Tensor:
        images, labels, masks = augment(*cases.batch(size, BLEEDING_SHARE, rng), rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):  # twice as fast where the CPU multiplies bfloat16
            logits = forward(images.contiguous(memory_format=torch.channels_last))
        return judge(logits.float(), labels, masks)

    return loss_of


class Cases(GrowingPool[Case]):
    """A part of a pool."""

    def __init__(self, pool: Path, part: str, neighbours: Sequence[int]) -> None:
        super().__init__(pool, part, range(1, CLASSES))
        self._neighbours = neighbours

    def read(self, path: Path) -> Case:
        return Case.load(path)

    def kinds_of(self, case: Case) -> Iterator[tuple[int, int]]:
        head = (case.hu > -200).mean(axis=(1, 2)) > 0.02
        for k, labels in enumerate(case.labels):
            counts = np.bincount(labels.ravel(), minlength=CLASSES)
            yield from ((int(value), k) for value in np.flatnonzero(counts[1:] >= SEEN_VOXELS) + 1)
            if head[k] and not labels.any():
                yield NOTHING, k

    def batch(
        self, size: int, bleeding_share: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Random slices in HU with their neighbours, (size, neighbours, 192, 192), and marks, (size, 192, 192)."""
        images, marks = [], []
        for _ in range(size):
            case, k = self.draw(bleeding_share, rng)
            images.append(case.hu[with_neighbours(k, len(case.hu), ALONE_SHARE, rng, self._neighbours)])
            marks.append(case.marks[k])
        return np.stack(images).astype(np.float32), np.stack(marks)


SEEN_VOXELS = 6
AIR_HU = -1000.0
BONE_HU = 250.0


def augment(
    images: NDArray[np.float32], marks: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Move, turn, mirror and scale in the plane; shift and stretch densities; blur; add noise; normalise.

    Returns:
        Images (batch, neighbours, 192, 160), labels (batch, 192, 160), and masks (batch, 3, 192, 160) in the
        network's order.
    """
    size = len(images)
    # From air on: outside an image is air.
    moved, target, mirrored = move(
        torch.from_numpy(images) - AIR_HU, torch.from_numpy(marks[:, None]), rng, columns=COLUMNS
    )
    moved, target = moved + AIR_HU, target[:, 0].long()
    masks = torch.stack(
        [(target & INTRACRANIAL) > 0, (target & LATERAL) > 0, ((target & LEFT) > 0) ^ mirrored], dim=1
    ).float()
    moved = moved + _glow(moved, rng)
    gain = torch.from_numpy(rng.uniform(0.95, 1.05, (size, 1, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.normal(0, 2, (size, 1, 1, 1)).astype(np.float32))
    noise = torch.from_numpy(rng.uniform(0, 2.5, (size, 1, 1, 1)).astype(np.float32)) * torch.randn(moved.shape)
    moved = moved * gain + shift + noise
    blurred = nn.functional.avg_pool2d(moved.clamp(-100, 300), 3, stride=1, padding=1)
    share = torch.from_numpy((rng.random((size, 1, 1, 1)) * (rng.random((size, 1, 1, 1)) < 0.4)).astype(np.float32))
    return normalise(moved.clamp(-100, 300) * (1 - share) + blurred * share), target & 15, masks


def _glow(hu: Tensor, rng: np.random.Generator) -> Tensor:
    """Bone brightens what lies beside it: the tails of the point spread and scattered, hardened rays, HU to add.

    No two scanners and kernels correct it alike, so every slice of a batch gets its own; some get none.
    """
    bone = (hu > BONE_HU).float()
    reach = int(rng.choice([5, 9, 15]))
    near = bone
    for width in (reach, 5):  # rows, then columns: a square costs as many times more as it is wide
        near = nn.functional.avg_pool2d(near, (width, 1), stride=1, padding=(width // 2, 0))
        near = nn.functional.avg_pool2d(near, (1, width), stride=1, padding=(0, width // 2))
    strength = np.clip(rng.uniform(-15, 40, (len(hu), 1, 1, 1)), 0, None).astype(np.float32)
    return near * torch.from_numpy(strength) * (1 - bone) * (hu > -50)


def normalise(hu: Tensor) -> Tensor:
    return (hu.clamp(*WINDOW_HU) - CENTRE_HU) / SCALE_HU


def judge(logits: Tensor, labels: Tensor, masks: Tensor) -> Tensor:
    """Weighted cross-entropy plus soft Dice over the batch for the subtypes that are in it, plus that of the masks."""
    bleeds, others = logits[:, :CLASSES], logits[:, CLASSES:]
    entropy = nn.functional.cross_entropy(bleeds, labels, weight=torch.tensor(CLASS_WEIGHTS))
    probabilities = bleeds.softmax(1)[:, 1:]
    truth = nn.functional.one_hot(labels, CLASSES).permute(0, 3, 1, 2)[:, 1:].float()
    overlap = (probabilities * truth).sum((0, 2, 3))
    total = (probabilities + truth).sum((0, 2, 3))
    present = truth.sum((0, 2, 3)) > 0
    dice = 1 - (2 * overlap + 1) / (total + 1)
    # Left and right mean something inside the skull alone.
    weight = torch.ones_like(masks)
    weight[:, 2] = masks[:, 0]
    aside = nn.functional.binary_cross_entropy_with_logits(others, masks, weight)
    return entropy + (dice[present].mean() if present.any() else dice.mean() * 0) + MASKS_WEIGHT * aside


@torch.no_grad()
def validate(network: SliceUNet, pool: Path) -> dict[str, dict[str, float]]:
    """Dice and volume ratio over all cases kept from learning, by subtype. Synthetic images: no clinical accuracy."""
    network.eval()
    overlap, found, truth = (np.zeros(CLASSES) for _ in range(3))
    for case in Cases(pool, "evidence", NEIGHBOURS).items:
        images = normalise(torch.from_numpy(stacks(case.hu.astype(np.float32), NEIGHBOURS)))
        labels = torch.cat([network(part)[:, :CLASSES].argmax(1) for part in images.split(8)]).numpy()
        for value in range(CLASSES):
            overlap[value] += ((labels == value) & (case.labels == value)).sum()
            found[value] += (labels == value).sum()
            truth[value] += (case.labels == value).sum()
    return {
        label: {
            "dice": round(2 * overlap[value] / max(1, found[value] + truth[value]), 3),
            "volume_ratio": round(found[value] / max(1, truth[value]), 3),
        }
        for value, label in enumerate(SUBTYPES, start=1)
    }
