"""The loop that trains a network: by the clock, resumable, seeded. Needs torch, as nothing that serves does."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

Loss = Callable[[np.random.Generator], Tensor]
"""Draws a batch and runs a network on it."""


@dataclass(frozen=True)
class Plan:
    """What to train and for how long.

    Attributes:
        minutes: budget of this run; the learning rate falls to zero over it.
        clip: the largest norm of a gradient.
        save_s: how often the checkpoint is written, seconds.
    """

    minutes: float
    seed: int = 0
    batch: int = 12
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    clip: float = 2.0
    save_s: float = 60.0


def learn(
    network: nn.Module,
    loss_of: Loss,
    out: Path,
    plan: Plan,
    *,
    resume: bool,
    looked: Callable[[], dict[str, float]] = dict,
    clock: Callable[[], float] = time.monotonic,
) -> Path:
    """Train until the budget is used; returns the checkpoint, which is rewritten atomically as it goes.

    Args:
        loss_of: draws a batch and runs the network on it.
        looked: called before every save; what it returns goes into the log beside step and loss.
        clock: what the budget is counted by, seconds.
    """
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    step, spent_s = 0, 0.0
    checkpoint = out / "checkpoint.pt"
    if resume and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent_s = state["step"], state["spent_s"]
        rng = np.random.default_rng([plan.seed, step])
    log = (out / "log.jsonl").open("a", encoding="utf-8")
    log.write(json.dumps({"plan": asdict(plan), "resumed_at": step}) + "\n")
    budget_s = plan.minutes * 60
    saved, tick = time.monotonic(), clock()
    losses: list[float] = []
    while spent_s < budget_s:
        falling = 0.5 * (1 + math.cos(math.pi * spent_s / budget_s))
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * min(1, (step + 1) / 100) * falling
        network.train()
        loss = loss_of(rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), plan.clip)
        optimiser.step()
        losses.append(float(loss.detach()))
        step += 1
        used = clock()
        spent_s += used - tick
        tick = used
        now = time.monotonic()
        if now - saved > plan.save_s or spent_s >= budget_s:
            line = {"step": step, "spent_s": round(spent_s), "loss": float(np.mean(losses)), **looked()}
            log.write(json.dumps(line) + "\n")
            log.flush()
            losses.clear()
            part = checkpoint.with_suffix(".part")
            state = {
                "network": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "spent_s": spent_s,
            }
            torch.save(state, part)
            part.rename(checkpoint)
            saved = now
    log.close()
    return checkpoint


def read_weights(network: nn.Module, checkpoint: Path) -> None:
    """The weights of a checkpoint into their network, and nothing else of it."""
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["network"])


def move(images: Tensor, marks: Tensor, rng: np.random.Generator, *, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Turn, zoom, mirror and shift slices and their marks alike, each slice by its own draw.

    Args:
        images: (batch, channels, rows, columns).
        marks: (batch, channels, rows, columns), whole numbers; they take the nearest, 0 outside.
        columns: of the result, cut from the middle.

    Returns:
        Images, marks as uint8, and which slices are mirrored, (batch, 1, 1).
    """
    size = len(images)
    angle = np.deg2rad(rng.normal(0, 8, size))
    zoom = rng.uniform(0.87, 1.14, size)
    mirror = rng.choice([-1.0, 1.0], size)
    matrix = np.zeros((size, 2, 3), np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = np.cos(angle) * zoom * mirror, -np.sin(angle) * zoom
    matrix[:, 1, 0], matrix[:, 1, 1] = np.sin(angle) * zoom * mirror, np.cos(angle) * zoom
    matrix[:, :, 0] *= columns / images.shape[3]
    matrix[:, :, 2] = rng.uniform(-0.1, 0.1, (size, 2))
    view = [size, 1, images.shape[2], columns]
    grid = nn.functional.affine_grid(torch.from_numpy(matrix), view, align_corners=False)
    moved = nn.functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    target = nn.functional.grid_sample(marks.float(), grid, mode="nearest", align_corners=False)
    return moved, target.to(torch.uint8), torch.from_numpy(mirror < 0)[:, None, None]
