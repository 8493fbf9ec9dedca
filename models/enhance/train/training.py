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

from models.enhance.acquire import Shortcut, acquire
from models.enhance.train.network import DetailNet
from models.enhance.train.pool import Pool

ROWS = 72
"""Of the readout in one example; the phase axis stays whole, for its k-space is."""

FRACTIONS = (0.60, 0.85)
KNEE = 0.01
"""Errors above this are counted by their size, below it by their square; 1 is the brightest tissue."""


@dataclass(frozen=True)
class Plan:
    """What to train and for how long.

    Attributes:
        minutes: computing time of this run, whatever else the machine does meanwhile; the learning rate falls to zero
            over it.
        fresh_s, save_s: how often the pool is looked at for new slices, and the checkpoint is written; by the clock.
    """

    minutes: float
    seed: int = 0
    batch: int = 8
    learning_rate: float = 2e-3
    fresh_s: float = 60.0
    save_s: float = 60.0


def train(pool: Path, out: Path, plan: Plan, *, resume: bool, start: Path | None = None) -> Path:
    """Train until the budget is used; returns the checkpoint, which is rewritten atomically as it goes.

    Args:
        start: a checkpoint whose weights are the first ones of a new run.
    """
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    network = DetailNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=1e-4)
    step, spent_s = 0, 0.0
    checkpoint = out / "checkpoint.pt"
    if resume and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent_s = state["step"], state["spent_s"]
        rng = np.random.default_rng([plan.seed, step])
    elif start is not None:
        network.load_state_dict(torch.load(start, weights_only=True)["network"])
    slices = Pool(pool)
    log = (out / "log.jsonl").open("a", encoding="utf-8")
    log.write(json.dumps({"plan": asdict(plan), "resumed_at": step}) + "\n")
    budget_s = plan.minutes * 60
    looked = saved = time.monotonic()
    tick = time.process_time()
    sums = np.zeros(3)
    while spent_s < budget_s:
        rate = plan.learning_rate * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * spent_s / budget_s))
        for group in optimiser.param_groups:
            group["lr"] = rate
        images, fractions, missing = batch(slices, plan.batch, rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):  # faster where the CPU multiplies bfloat16
            detail = network(images.contiguous(memory_format=torch.channels_last))
        wrong = unmeasured(detail.float(), fractions) - missing
        _improve(network, optimiser, wrong)
        sums += 1, float((wrong.detach() ** 2).mean()), float((missing**2).mean())
        step += 1
        used = time.process_time()
        spent_s += used - tick
        tick = used
        now = time.monotonic()
        if now - looked > plan.fresh_s:
            slices.refresh()
            looked = now
        if now - saved > plan.save_s or spent_s >= budget_s:
            gain_db = 10 * math.log10(sums[2] / sums[1])
            log.write(
                json.dumps({"step": step, "spent_s": round(spent_s), "gain_db": gain_db, "slices": len(slices)}) + "\n"
            )
            log.flush()
            sums[:] = 0
            _save(checkpoint, network, optimiser, step, spent_s)
            saved = now
    log.close()
    return checkpoint


def _improve(network: DetailNet, optimiser: torch.optim.Optimizer, wrong: Tensor) -> None:
    loss = (torch.sqrt(wrong**2 + KNEE**2) - KNEE).mean()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 0.5)
    optimiser.step()


def _save(checkpoint: Path, network: DetailNet, optimiser: torch.optim.Optimizer, step: int, spent_s: float) -> None:
    part = checkpoint.with_suffix(".part")
    state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "spent_s": spent_s}
    torch.save(state, part)
    part.rename(checkpoint)


def batch(slices: Pool, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Examples.

    Returns:
        Network input (size, 2, ROWS, phase), measured share (size,), and what is missing (size, 1, ROWS, phase):
        truth less image, in the unmeasured band.
    """
    images, truths, fractions = [], [], []
    for _ in range(size):
        truth = slices.draw(rng)
        if rng.random() < 0.5:
            truth = truth.T
        truth = truth[:: int(rng.choice([-1, 1])), :: int(rng.choice([-1, 1]))]
        row = _filled_row(truth, rng)
        truth = np.ascontiguousarray(truth[row : row + ROWS]) * np.float32(rng.uniform(0.75, 1.3))
        shortcut = draw_shortcut(rng)
        images.append(acquire(truth, shortcut, rng))
        truths.append(truth)
        fractions.append(shortcut.fraction)
    image = torch.from_numpy(np.stack(images))[:, None]
    truth_ = torch.from_numpy(np.stack(truths))[:, None]
    share = torch.tensor(fractions, dtype=torch.float32)
    told = share[:, None, None, None].expand_as(image)
    return torch.cat([image, told], dim=1), share, unmeasured(truth_ - image, share)


def draw_shortcut(rng: np.random.Generator) -> Shortcut:
    """Half of the scans are quiet and complete; the others have noise, partial Fourier, motion, or several of them."""
    clean = rng.random() < 0.5
    return Shortcut(
        fraction=float(rng.uniform(*FRACTIONS)),
        partial_fourier=1.0 if clean or rng.random() < 0.5 else float(rng.uniform(0.65, 0.9)),
        noise=0.0 if clean else float(np.exp(rng.uniform(np.log(0.003), np.log(0.03)))),
        motion_px=0.0 if clean or rng.random() < 0.6 else float(rng.uniform(0.1, 0.6)),
        slow_phase=bool(rng.random() < 0.7),
    )


def _filled_row(truth: NDArray[np.float32], rng: np.random.Generator) -> int:
    filled = np.flatnonzero((truth > 0.1).mean(axis=1) > 0.1)
    middle = int(rng.choice(filled)) if filled.size else truth.shape[0] // 2
    return int(np.clip(middle - ROWS // 2, 0, truth.shape[0] - ROWS))


def unmeasured(image: Tensor, share: Tensor) -> Tensor:
    """As `models.enhance.kspace.unmeasured`, the full band being all there is; (batch, 1, rows, phase)."""
    pixels = image.shape[-1]
    spectrum = torch.fft.rfft(image, dim=-1)
    bins = torch.fft.rfftfreq(pixels)
    keep = bins[None] > 0.5 * share[:, None]
    result: Tensor = torch.fft.irfft(spectrum * keep[:, None, None, :], pixels, dim=-1)
    return result
