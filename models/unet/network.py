"""A U-Net on one slice that sees neighbours of it: what the models on slices share."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

FOLD = 2
"""Pixels folded into channels at the entrance, and unfolded at the exit: a quarter of the work at the same detail."""


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class SliceUNet(nn.Module):
    """(batch, inputs, rows, columns) normalised slices to (batch, outputs, rows, columns) logits.

    Args:
        widths: channels of each level; rows and columns are multiples of two to their number.
    """

    def __init__(self, inputs: int, outputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        folded = inputs * FOLD**2
        self.down = nn.ModuleList(Block(i, o) for i, o in zip((folded, *widths[:-1]), widths, strict=True))
        self.up = nn.ModuleList(
            Block(deep + skip, skip) for deep, skip in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0] + folded, outputs * FOLD**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        entrance = x = nn.functional.pixel_unshuffle(x, FOLD)
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"), skip], dim=1))
        logits: Tensor = nn.functional.pixel_shuffle(self.head(torch.cat([x, entrance], dim=1)), FOLD)
        return logits


def shaped(shapes: Mapping[str, tuple[int, ...]]) -> SliceUNet:
    """An untrained network of the widths, inputs and outputs that its weights have, by their names."""
    entrances: list[tuple[int, ...]] = []
    while (name := f"down.{len(entrances)}.shortcut.weight") in shapes:
        entrances.append(shapes[name])
    inputs, outputs = entrances[0][1] // FOLD**2, shapes["head.bias"][0] // FOLD**2
    return SliceUNet(inputs, outputs, tuple(width for width, *_ in entrances))
