"""Networks asked together."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.unet.network import FOLD, SliceUNet

PLAIN, MIRRORED, ANOTHER = "plain", "mirrored", "another"
"""What the names of networks that are asked together begin with. In a file, a full stop and the weight follow."""

CLASSES = 6
"""Of `Bleeds`: background and five subtypes, one of them a voxel (softmax)."""

LEAST = 1e-4
"""A probability of several below which nothing is told apart, so that float16 can hold its logarithm."""


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


def inputs_of(network: nn.Module) -> int:
    """How many slices a network is shown at once."""
    if isinstance(network, Committee):
        return max(inputs_of(member) for member in network.children())
    down: Any = network.down
    return int(down[0].shortcut.in_channels) // FOLD**2
