"""What the network learns from a pool that may still be growing."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.enhance.acquire import Shortcut, acquire
from models.enhance.train.network import DetailNet, begin
from models.enhance.train.pool import Pool
from models.training import Plan, learn

ROWS = 72
"""Of the readout in one example; the phase axis stays whole, for its k-space is."""

FRACTIONS = (0.60, 0.85)
FLOOR = 1e-5
"""Mean squares below this are as good as none; 1 is the brightest tissue."""


def train(pool: Path, out: Path, plan: Plan, *, resume: bool, start: Path | None = None) -> Path:
    """Train until the budget of computing time is used; returns the checkpoint, rewritten atomically as it goes.

    The loss is what is measured in the end: the decibels lost against the zero-filled image, each example counting
    alike, however much detail it has.

    Args:
        start: a checkpoint or an ONNX whose weights are the first ones of a new run; its network may have fewer blocks.
    """
    torch.manual_seed(plan.seed)
    network = DetailNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if start is not None:
        begin(network, start)
    slices = Pool(pool)

    def loss_of(rng: np.random.Generator) -> Tensor:
        images, fractions, missing = batch(slices, plan.batch, rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):  # faster where the CPU multiplies bfloat16
            detail = network(images.contiguous(memory_format=torch.channels_last))
        wrong = unmeasured(detail.float(), fractions) - missing
        return 10 * torch.log10((_power(wrong) + FLOOR) / (_power(missing) + FLOOR)).mean()

    def looked() -> dict[str, float]:
        slices.refresh()
        return {"slices": len(slices)}

    return learn(network, loss_of, out, plan, resume=resume, looked=looked)


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


def _power(image: Tensor) -> Tensor:
    return (image**2).mean(dim=(1, 2, 3))


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
