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


@dataclass(frozen=True)
class Plan:
    """What to train and for how long.

    Attributes:
        minutes: wall-clock budget of this run; the learning rate falls to zero over it.
        save_s: how often the checkpoint is written, seconds.
    """

    minutes: float
    seed: int = 0
    batch: int = 12
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    save_s: float = 60.0


def learn(
    network: nn.Module,
    loss_of: Callable[[np.random.Generator], Tensor],
    out: Path,
    plan: Plan,
    *,
    resume: bool,
    looked: Callable[[], dict[str, float]] = dict,
) -> Path:
    """Train until the budget is used; returns the checkpoint, which is rewritten atomically as it goes.

    Args:
        loss_of: draws a batch and runs the network on it.
        looked: called before every save; what it returns goes into the log beside step and loss.
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
    saved = tick = time.monotonic()
    losses: list[float] = []
    while spent_s < budget_s:
        falling = 0.5 * (1 + math.cos(math.pi * spent_s / budget_s))
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * min(1, (step + 1) / 100) * falling
        network.train()
        loss = loss_of(rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        step += 1
        now = time.monotonic()
        spent_s += now - tick
        tick = now
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
