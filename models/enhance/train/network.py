"""The network: a small residual network on one slice, told how much of the band was measured."""

import torch
from torch import Tensor, nn

FOLD = 2
"""Pixels folded into channels at the entrance, and unfolded at the exit: a quarter of the work at the same detail."""

WIDTH, DEEP = 32, 64
CHANNELS = 2
"""The slice, and the share of its band that was measured, the same everywhere."""


class Block(nn.Module):
    """Two 3x3 convolutions added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.body(x)
        return result


class DetailNet(nn.Module):
    """(batch, 2, readout, phase) to (batch, 1, readout, phase): what to add; sides are multiples of 4.

    Two levels: fine ones on folded pixels, and a coarser one between that sees farther along the ringing of an edge.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(CHANNELS * FOLD**2, WIDTH, 3, padding=1)
        self.fine = nn.Sequential(Block(WIDTH), Block(WIDTH))
        self.down = nn.Conv2d(WIDTH, DEEP, 2, stride=2)
        self.deep = nn.Sequential(Block(DEEP), Block(DEEP))
        self.up = nn.Conv2d(DEEP, WIDTH * 4, 1)
        self.last = nn.Sequential(Block(WIDTH), Block(WIDTH))
        self.leave = nn.Conv2d(WIDTH, FOLD**2, 3, padding=1)
        # The first answer is to add nothing.
        nn.init.zeros_(self.leave.weight)
        if self.leave.bias is not None:
            nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(self.enter(nn.functional.pixel_unshuffle(x, FOLD)))
        deep = self.deep(torch.relu(self.down(fine)))
        fine = fine + nn.functional.pixel_shuffle(self.up(deep), 2)
        detail: Tensor = nn.functional.pixel_shuffle(self.leave(self.last(fine)), FOLD)
        return detail
