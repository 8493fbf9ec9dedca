"""The training loop: resumable, seeded, on a pool that may still be growing."""

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.ich.train.network import CLASSES, SliceUNet
from models.ich.train.pool import Case
from models.synthesis.bleeding import SUBTYPES

WINDOW_HU = (-20.0, 120.0)
CENTRE_HU, SCALE_HU = 50.0, 70.0
TIGHT_SHARE = 0.5


@dataclass(frozen=True)
class Plan:
    """What to train and for how long.

    Attributes:
        minutes: wall-clock budget of this run; the learning rate falls to zero over it.
        fresh_s: how often the pool is looked at for new cases, seconds.
    """

    minutes: float
    seed: int = 0
    batch: int = 12
    learning_rate: float = 2e-3
    bleeding_share: float = 0.6
    fresh_s: float = 120.0
    save_s: float = 120.0


def train(pool: Path, out: Path, plan: Plan, *, resume: bool) -> Path:
    """Train until the budget is used; returns the checkpoint, which is rewritten atomically as it goes."""
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    network = SliceUNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=1e-3)
    step, spent_s = 0, 0.0
    checkpoint = out / "checkpoint.pt"
    if resume and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent_s = state["step"], state["spent_s"]
        rng = np.random.default_rng([plan.seed, step])
    cases = Cases(pool, "train")
    log = (out / "log.jsonl").open("a", encoding="utf-8")
    log.write(json.dumps({"plan": asdict(plan), "resumed_at": step}) + "\n")
    budget_s = plan.minutes * 60
    looked = saved = tick = time.monotonic()
    losses: list[float] = []
    while spent_s < budget_s:
        progress = spent_s / budget_s
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * progress))
        images, labels = augment(*cases.batch(plan.batch, plan.bleeding_share, rng), rng)
        network.train()
        loss = loss_of(network(images.contiguous(memory_format=torch.channels_last)), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        step += 1
        now = time.monotonic()
        spent_s += now - tick
        tick = now
        if now - looked > plan.fresh_s:
            cases.refresh()
            looked = now
        if now - saved > plan.save_s or spent_s >= budget_s:
            line = {"step": step, "spent_s": round(spent_s), "loss": float(np.mean(losses)), "cases": len(cases.items)}
            log.write(json.dumps(line) + "\n")
            log.flush()
            losses.clear()
            part = checkpoint.with_suffix(".part")
            torch.save(
                {
                    "network": network.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "step": step,
                    "spent_s": spent_s,
                },
                part,
            )
            part.rename(checkpoint)
            saved = now
    log.close()
    return checkpoint


class Cases:
    """The part of a pool that is on disk, in memory as (neighbour, slice, neighbour) stacks by slice."""

    def __init__(self, pool: Path, part: str) -> None:
        self._pool, self._part = pool, part
        self.items: list[Case] = []
        self._seen: set[str] = set()
        self._bleeding: list[tuple[int, int]] = []
        self._clear: list[tuple[int, int]] = []
        self.refresh()

    def refresh(self) -> None:
        for path in sorted(self._pool.glob(f"{self._part}-*.npz")):
            if path.name in self._seen:
                continue
            self._seen.add(path.name)
            case = Case.load(path)
            number = len(self.items)
            self.items.append(case)
            bleeding = (case.labels > 0).sum(axis=(1, 2)) >= 8
            head = (case.hu > -200).mean(axis=(1, 2)) > 0.02
            for k in range(len(case.hu)):
                if bleeding[k]:
                    self._bleeding.append((number, k))
                elif head[k]:
                    self._clear.append((number, k))

    def batch(
        self, size: int, bleeding_share: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Random slices in HU, (size, 3, 192, 192), and labels, (size, 192, 192)."""
        images, labels = [], []
        for _ in range(size):
            source = self._bleeding if rng.random() < bleeding_share else self._clear
            number, k = source[rng.integers(len(source))]
            case = self.items[number]
            last = len(case.hu) - 1
            images.append(case.hu[[max(k - 1, 0), k, min(k + 1, last)]])
            labels.append(case.labels[k])
        return np.stack(images).astype(np.float32), np.stack(labels)


def augment(images: NDArray[np.float32], labels: NDArray[np.uint8], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Move, turn, mirror and scale in the plane; shift and stretch densities; add noise; normalise."""
    size = len(images)
    angle = np.deg2rad(rng.normal(0, 7, size))
    zoom = rng.uniform(0.88, 1.12, size)
    mirror = rng.choice([-1.0, 1.0], size)
    matrix = np.zeros((size, 2, 3), np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = np.cos(angle) * zoom * mirror, -np.sin(angle) * zoom
    matrix[:, 1, 0], matrix[:, 1, 1] = np.sin(angle) * zoom * mirror, np.cos(angle) * zoom
    matrix[:, :, 2] = rng.uniform(-0.1, 0.1, (size, 2))
    grid = nn.functional.affine_grid(torch.from_numpy(matrix), [size, 1, *images.shape[2:]], align_corners=False)
    moved = (
        nn.functional.grid_sample(torch.from_numpy(images) + 1000, grid, mode="bilinear", align_corners=False) - 1000
    )
    target = torch.from_numpy(labels[:, None].astype(np.float32))
    target = nn.functional.grid_sample(target, grid, mode="nearest", align_corners=False)[:, 0].long()
    tight = torch.from_numpy(rng.random((size, 1, 1, 1)) < TIGHT_SHARE)
    moved = torch.where(tight, _without_rim(moved, rng), moved)
    gain = torch.from_numpy(rng.uniform(0.93, 1.07, (size, 1, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.normal(0, 3, (size, 1, 1, 1)).astype(np.float32))
    noise = torch.from_numpy(rng.uniform(0, 3, (size, 1, 1, 1)).astype(np.float32)) * torch.randn(moved.shape)
    return normalise(moved * gain + shift + noise), target


def _without_rim(hu: Tensor, rng: np.random.Generator) -> Tensor:
    """Heads whose brain touches the skull: CSF within about 12 mm of bone becomes cortex.

    The label maps come from heads with a wide dark rim; without these, every head that has none looks like an SDH.
    """
    near_bone = nn.functional.max_pool2d((hu > 300).float(), 21, stride=1, padding=10) > 0
    csf = (hu > -15) & (hu < 27) & near_bone
    cortex = float(rng.uniform(32, 39)) + torch.randn(hu.shape) * 1.5
    return torch.where(csf, cortex, hu)


def normalise(hu: Tensor) -> Tensor:
    return (hu.clamp(*WINDOW_HU) - CENTRE_HU) / SCALE_HU


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Weighted cross-entropy plus soft Dice over the batch for the subtypes that are in it."""
    weights = torch.tensor([1.0, 2.0, 2.0, 2.0, 2.0, 3.0])
    entropy = nn.functional.cross_entropy(logits, labels, weight=weights)
    probabilities = logits.softmax(1)[:, 1:]
    truth = nn.functional.one_hot(labels, CLASSES).permute(0, 3, 1, 2)[:, 1:].float()
    overlap = (probabilities * truth).sum((0, 2, 3))
    total = (probabilities + truth).sum((0, 2, 3))
    present = truth.sum((0, 2, 3)) > 0
    dice = 1 - (2 * overlap + 1) / (total + 1)
    return entropy + (dice[present].mean() if present.any() else dice.mean() * 0)


@torch.no_grad()
def validate(network: SliceUNet, pool: Path) -> dict[str, dict[str, float]]:
    """Dice over all validation voxels, and volume ratio, by subtype. Synthetic images: no clinical accuracy."""
    network.eval()
    overlap, found, truth = (np.zeros(CLASSES) for _ in range(3))
    for case in Cases(pool, "validation").items:
        last = len(case.hu) - 1
        order = np.arange(len(case.hu))
        stack = np.stack([case.hu[np.clip(order - 1, 0, last)], case.hu, case.hu[np.clip(order + 1, 0, last)]], axis=1)
        images = normalise(torch.from_numpy(stack.astype(np.float32)))
        labels = torch.cat([network(part).argmax(1) for part in images.split(8)]).numpy()
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
