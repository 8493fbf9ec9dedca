"""A larger network that begins as a smaller one: the same answers at first, room to learn more.

What is new sees what was there and is heard by nobody yet: every weight from a new channel into an old one is zero
(after Net2Net, Chen et al. 2016).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from models.errors import InvalidCard
from models.unet.committee import MIRRORED, inputs_of
from models.unet.network import FOLD, Block, SliceUNet, shaped
from models.unet.weights import ALONE, blocks, read_parts, settle, unfold

Places = Sequence[int]
"""For each old channel the new one that carries on with it."""

ONNX = ".onnx"


def begin(network: SliceUNet, start: Path, look: Callable[[], object], part: str = MIRRORED) -> None:
    """The weights of a file into their network, or into a larger one whose middle inputs are those it knew.

    Args:
        start, part: see `read_any`.
        look: runs the network on a batch like those it will learn from.
    """
    small = read_any(start, part)
    first = (inputs_of(network) - inputs_of(small)) // 2
    grow(small, network, range(first, first + inputs_of(small)))
    if start.suffix == ONNX:
        settle(network, look)


def read_any(file: Path, part: str = MIRRORED) -> SliceUNet:
    """The network of a checkpoint or of an ONNX that is served, whatever its widths and inputs are.

    Args:
        part: what the name of the one begins with, of an ONNX that holds several; of more of them the last that joined.

    Raises:
        InvalidCard: it holds others.
    """
    if file.suffix == ONNX:
        parts = read_parts(file)
        names = [name for name in sorted(parts) if name == ALONE or name.startswith(part)]
        if not names:
            raise InvalidCard(f"{file.name} holds the networks {', '.join(parts)}, and no {part}.")
        return unfold(parts[names[-1]])
    state: dict[str, Tensor] = torch.load(file, weights_only=True)["network"]
    network = shaped({name: tuple(values.shape) for name, values in state.items()})
    network.load_state_dict(state)
    return network


@torch.no_grad()
def grow(small: SliceUNet, large: SliceUNet, inputs: Places) -> None:
    """Give `large` the weights of `small`; both as deep, every level of `large` at least as wide.

    Args:
        inputs: for each input of `small` the one of `large` that shows the same.
    """
    entrance = [place * FOLD**2 + fold for place in inputs for fold in range(FOLD**2)]
    narrow, wide = _widths(small), _widths(large)
    seen = entrance
    for old, new, width in zip(blocks(small.down), blocks(large.down), narrow, strict=True):
        _block(old, new, seen)
        seen = list(range(width))
    for level, (old, new) in enumerate(zip(blocks(small.up), blocks(large.up), strict=True), start=2):
        deep, skip = narrow[1 - level], narrow[-level]
        _block(old, new, [*range(deep), *(wide[1 - level] + place for place in range(skip))])
    _weights(small.head.weight, large.head.weight, [*range(narrow[0]), *(wide[0] + place for place in entrance)])
    _rest(small.head.bias, large.head.bias)


def _widths(network: SliceUNet) -> list[int]:
    return [block.shortcut.out_channels for block in blocks(network.down)]


def _block(old: Block, new: Block, inputs: Places) -> None:
    first = True
    for one, other in zip(old.body, new.body, strict=True):
        if isinstance(one, nn.Conv2d) and isinstance(other, nn.Conv2d):
            _weights(one.weight, other.weight, inputs if first else range(one.in_channels))
            first = False
        elif isinstance(one, nn.BatchNorm2d) and isinstance(other, nn.BatchNorm2d):
            for name in ("weight", "bias", "running_mean", "running_var"):
                _rest(getattr(one, name), getattr(other, name))
    _weights(old.shortcut.weight, new.shortcut.weight, inputs)


def _weights(old: Tensor, new: Tensor, inputs: Places) -> None:
    """Those of a convolution, (outputs, inputs, rows, columns)."""
    new[: len(old)] = 0
    new[: len(old), list(inputs)] = old


def _rest(old: Tensor | None, new: Tensor | None) -> None:
    if old is not None and new is not None:
        new[: len(old)] = old
