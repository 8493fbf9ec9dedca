"""The network: a U-Net on one slice that sees its two neighbours."""

import torch
from torch import Tensor, nn

CLASSES = 6
"""Background and five subtypes; one of them a voxel (softmax)."""

MASKS = 3
"""Intracranial space, lateral ventricles, the patient's left half; each for itself (sigmoid)."""

WIDTHS = (32, 48, 72, 104, 136)
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
    """(batch, 3, 192, 192) normalised slices to (batch, 9, 192, 192) logits.

    Background, IPH, IVH, SDH, EDH, SAH; then intracranial space, lateral ventricles, left. Other models give it
    channels and widths of their own.
    """

    def __init__(self, inputs: int = 3, outputs: int = CLASSES + MASKS, widths: tuple[int, ...] = WIDTHS) -> None:
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
