"""The network: a small residual network on one slice, told how much of the band was measured."""

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from models.packing import weights_in

FOLD = 2
"""Pixels folded into channels at the entrance, and unfolded at the exit: a quarter of the work at the same detail."""

WIDTH, DEEP = 32, 64
BLOCKS = {"fine": 3, "deep": 12, "last": 4}
"""How many follow one another: on the way in, on the coarser level, on the way out."""

CHANNELS = 2
"""The slice, and the share of its band that was measured, the same everywhere."""

TOLD = 16
MIDDLE, SPREAD = 0.725, 0.125
"""Of the shares that are learned."""


class Block(nn.Module):
    """Two 3x3 convolutions added to what came in; how much each channel counts depends on the measured share."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.gain = nn.Linear(TOLD, width)
        nn.init.zeros_(self.gain.weight)
        nn.init.ones_(self.gain.bias)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        result: Tensor = x + self.second(torch.relu(self.first(x)) * self.gain(told)[:, :, None, None])
        return result


class DetailNet(nn.Module):
    """(batch, 2, readout, phase) to (batch, 1, readout, phase): what to add; sides are multiples of 4.

    Two levels: fine ones on folded pixels, and a coarser one between that sees farther along the ringing of an edge.
    Nothing but convolutions without bias and their positive parts: an image twice as bright has twice the detail, so
    what was learned of an edge holds in a contrast that training did not show.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tell = nn.Linear(1, TOLD)
        self.enter = nn.Conv2d(FOLD**2, WIDTH, 3, padding=1, bias=False)
        self.fine = nn.ModuleList(Block(WIDTH) for _ in range(BLOCKS["fine"]))
        self.down = nn.Conv2d(WIDTH, DEEP, 2, stride=2, bias=False)
        self.deep = nn.ModuleList(Block(DEEP) for _ in range(BLOCKS["deep"]))
        self.up = nn.Conv2d(DEEP, WIDTH * 4, 1, bias=False)
        self.last = nn.ModuleList(Block(WIDTH) for _ in range(BLOCKS["last"]))
        self.leave = nn.Conv2d(WIDTH, FOLD**2, 3, padding=1, bias=False)
        # The first answer is to add nothing.
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor) -> Tensor:
        told = torch.relu(self.tell((x[:, 1:, 0, 0] - MIDDLE) / SPREAD))
        fine = self.enter(nn.functional.pixel_unshuffle(x[:, :1], FOLD))
        for block in self.fine:
            fine = block(fine, told)
        deep = torch.relu(self.down(fine))
        for block in self.deep:
            deep = block(deep, told)
        fine = fine + nn.functional.pixel_shuffle(self.up(deep), 2)
        for block in self.last:
            fine = block(fine, told)
        detail: Tensor = nn.functional.pixel_shuffle(self.leave(fine), FOLD)
        return detail


def begin(network: DetailNet, start: Path) -> None:
    """The weights of a checkpoint or of the ONNX that is served; a network of more blocks gives its answers at first.

    Raises:
        ValueError: the file holds another network.
    """
    if start.suffix == ".onnx":
        given = {name: torch.tensor(values) for name, values in weights_in(onnx.load(start)).items()}
    else:
        given = torch.load(start, weights_only=True)["network"]
    own = network.state_dict()
    for name, values in own.items():
        if name in given:
            values.copy_(given[name])
        elif name.endswith("second.weight"):
            values.zero_()  # what a new block finds is heard by nobody yet
    foreign = [name for name in given if "." in name and name not in own]
    if foreign or "leave.weight" not in given:
        raise ValueError(f"{start.name} does not hold this network, or one of fewer blocks.")
