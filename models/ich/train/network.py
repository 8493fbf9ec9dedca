"""The network: a U-Net on one slice that sees neighbours of it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

CLASSES = 6
"""Background and five subtypes; one of them a voxel (softmax)."""

MASKS = 3
"""Intracranial space, lateral ventricles, the patient's left half; each for itself (sigmoid)."""

NEIGHBOURS = (-4, -2, -1, 0, 1, 2, 4)
"""Slabs shown together, by their places above the middle one: 2 cm up and down, for what is flat in its own slice."""

WIDTHS = (32, 56, 112, 192, 256)
LEAST = 1e-4
"""A probability of several below which nothing is told apart, so that float16 can hold its logarithm."""

PLAIN, MIRRORED, ANOTHER = "plain", "mirrored", "another"
"""What the names of networks that are asked together begin with. In a file, a full stop and the weight follow."""

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
    """(batch, 7, 192, 192) normalised slices to (batch, 9, 192, 192) logits.

    Background, IPH, IVH, SDH, EDH, SAH; then intracranial space, lateral ventricles, left. Other models give it
    channels and widths of their own.
    """

    def __init__(
        self, inputs: int = len(NEIGHBOURS), outputs: int = CLASSES + MASKS, widths: tuple[int, ...] = WIDTHS
    ) -> None:
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


class Committee(nn.Module):
    """Networks asked together, by name: what they say together is less often wrong than what each says.

    Those whose name begins with MIRRORED look into the mirror, so that they err less often in the same way. Where one
    sees fewer slices, they are the middle ones.
    """

    def __init__(self, members: Mapping[str, SliceUNet]) -> None:
        super().__init__()
        for name, member in members.items():
            self.add_module(name, member)

    def answers(self, x: Tensor) -> dict[str, Tensor]:
        """What each says of the image as it is, by name."""
        result, seen = {}, inputs_of(self)
        for name, member in self.named_children():
            own = inputs_of(member)
            shown = x[:, (seen - own) // 2 : (seen + own) // 2]
            result[name] = member(shown.flip(-1)).flip(-1) if name.startswith(MIRRORED) else member(shown)
        return result


class Bleeds(Committee):
    """The mean of their probabilities of bleeding, and of their logits of the masks."""

    def forward(self, x: Tensor) -> Tensor:
        answers = self.answers(x)
        bleeds = torch.stack([answer[:, :CLASSES].softmax(1) for answer in answers.values()]).mean(0)
        masks = torch.stack([answer[:, CLASSES:-1] for answer in answers.values()]).mean(0)
        # What is left is right in the mirror.
        sides = [-answer if name.startswith(MIRRORED) else answer for name, answer in answers.items()]
        left = torch.stack([side[:, -1:] for side in sides]).mean(0)
        return torch.cat([bleeds.clamp(min=LEAST).log(), masks, left], dim=1)


class Mean(Committee):
    """The mean of their probabilities, each output by itself, as logits."""

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.stack(list(self.answers(x).values()))
        yes, no = logits.sigmoid().mean(0), (-logits).sigmoid().mean(0)
        return yes.clamp(min=LEAST).log() - no.clamp(min=LEAST).log()


def new_committee() -> Bleeds:
    """What is served since 0.11.0, untrained: three of the same size."""
    return Bleeds({PLAIN: SliceUNet(), MIRRORED: SliceUNet(), f"{MIRRORED}2": SliceUNet()})


def shaped(shapes: Mapping[str, tuple[int, ...]]) -> SliceUNet:
    """An untrained network of the widths, inputs and outputs that its weights have, by their names."""
    entrances: list[tuple[int, ...]] = []
    while (name := f"down.{len(entrances)}.shortcut.weight") in shapes:
        entrances.append(shapes[name])
    inputs, outputs = entrances[0][1] // FOLD**2, shapes["head.bias"][0] // FOLD**2
    return SliceUNet(inputs, outputs, tuple(width for width, *_ in entrances))


def inputs_of(network: nn.Module) -> int:
    """How many slices a network is shown at once."""
    if isinstance(network, Committee):
        return max(inputs_of(member) for member in network.children())
    down: Any = network.down
    return int(down[0].shortcut.in_channels) // FOLD**2
