"""The network of an ONNX file in torch again: widths by its shapes, every convolution by the name of its weight.

The exporter folded each batch normalisation into the convolution before it, so the network that goes on learning has
none: a convolution with a bias in its place, which computes the same and needs no statistics of small batches. One that
is trained anew from what is served gets its normalisations back.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.errors import InvalidCard
from models.packing import weights_in
from models.unet.committee import ANOTHER, MIRRORED, PLAIN, Bleeds, Committee, Mean
from models.unet.network import Block, SliceUNet, shaped

Initialisers = dict[str, NDArray[Any]]

ALONE = ""
"""The name of a network that has a file to itself."""

HEAD = "head.weight"
"""Each network of a file has one."""

LOOKS = 8
"""Batches from which normalisations take their statistics."""


def read_network(weights: Path) -> SliceUNet | Committee:
    """The network, or those that are asked together, whose logits are those of the file.

    Raises:
        InvalidCard: the file holds another network.
    """
    parts = read_parts(weights)
    if parts.keys() == {ALONE}:
        return parts[ALONE]
    if parts.keys() == {PLAIN, ANOTHER}:
        return Mean(parts)
    if PLAIN in parts and all(name.startswith((PLAIN, MIRRORED)) for name in parts):
        return Bleeds(parts)
    raise _foreign(weights.name, HEAD)


def read_parts(weights: Path) -> dict[str, SliceUNet]:
    """The networks of a file by what their weights' names begin with, or ALONE.

    Raises:
        InvalidCard: the file holds another network.
    """
    try:
        model = onnx.load(str(weights))
    except Exception as error:  # what a damaged file raises is the parser's affair
        raise InvalidCard(f"{weights.name} cannot be read as ONNX.") from error
    given = weights_in(model)
    # Folded biases have names of the exporter's, and one that is zero is left away.
    given |= {
        f"{weight.removesuffix('.weight')}.bias": given[bias[0]] if bias else np.zeros(len(given[weight]), np.float32)
        for _, weight, *bias in (node.input for node in model.graph.node if node.op_type == "Conv")
        if {weight, *bias} <= given.keys()
    }
    names = sorted(name.removesuffix(HEAD).rstrip(".") for name in given if name.endswith(HEAD)) or [ALONE]
    return {name: _read(_below(given, f"{name}." if name else ""), weights.name) for name in names}


def _below(given: Initialisers, part: str) -> Initialisers:
    return {name.removeprefix(part): values for name, values in given.items() if name.startswith(part)}


def _read(given: Initialisers, file: str) -> SliceUNet:
    network = _empty(given, file)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(_find(given, name, tuple(parameter.shape), file)))
    return network


def fold(network: SliceUNet) -> SliceUNet:
    """Every convolution of the body with a bias instead of the normalisation after it, in place; weights are lost."""
    for block in blocks(network):
        for place, layer in enumerate(block.body):
            if isinstance(layer, nn.Conv2d):
                block.body[place] = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)
            elif isinstance(layer, nn.BatchNorm2d):
                block.body[place] = nn.Identity()
    return network


@torch.no_grad()
def unfold(network: SliceUNet) -> SliceUNet:
    """A folded network with normalisations again, which add the bias and do nothing else until they `settle`."""
    result = shaped({name: tuple(values.shape) for name, values in network.named_parameters()})
    result.head.load_state_dict(network.head.state_dict())
    for old, new in zip(blocks(network), blocks(result), strict=True):
        new.shortcut.load_state_dict(old.shortcut.state_dict())
        for place, layer in enumerate(new.body):
            folded = old.body[place - 1]
            if isinstance(layer, nn.BatchNorm2d) and isinstance(folded, nn.Conv2d):
                new.body[place - 1].load_state_dict({"weight": folded.weight})
                layer.load_state_dict(
                    layer.state_dict()
                    | {"bias": folded.bias, "running_var": torch.ones(len(folded.weight)) - layer.eps}
                )
    return result


@torch.no_grad()
def settle(network: nn.Module, look: Callable[[], object]) -> None:
    """Give every normalisation the statistics of what it is shown; answers stay as they are.

    Args:
        look: runs the network on a batch.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    shown: dict[nn.Module, list[Tensor]] = {norm: [] for norm in norms}

    def note(norm: nn.Module, given: tuple[Tensor]) -> None:
        values = given[0].float()
        shown[norm].append(torch.stack([values.mean((0, 2, 3)), values.square().mean((0, 2, 3))]))

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    network.eval()
    for _ in range(LOOKS):
        look()
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, square = torch.stack(shown[norm]).mean(0)
        variance = square - mean.square()
        old_mean, old_variance = norm.running_mean, norm.running_var
        if old_mean is None or old_variance is None:
            continue
        gain = norm.weight / (old_variance + norm.eps).sqrt()
        norm.bias.add_((mean - old_mean) * gain)
        norm.weight.copy_(gain * (variance + norm.eps).sqrt())
        old_mean.copy_(mean)
        old_variance.copy_(variance)


def blocks(network: nn.Module) -> list[Block]:
    """Those of a network or of a part of it, in their order."""
    return [module for module in network.modules() if isinstance(module, Block)]


def _empty(given: Initialisers, file: str) -> SliceUNet:
    """A network of the file's widths."""
    if not {"down.0.shortcut.weight", "down.1.shortcut.weight", "head.bias"} <= given.keys():
        raise _foreign(file, "down.0.shortcut.weight")
    return fold(shaped({name: values.shape for name, values in given.items()}))


def _find(given: Initialisers, name: str, shape: tuple[int, ...], file: str) -> NDArray[Any]:
    if name not in given or given[name].shape != shape:
        raise _foreign(file, name)
    return given[name].copy()


def _foreign(file: str, name: str) -> InvalidCard:
    return InvalidCard(
        f"{file} holds no {name} of the right shape: only networks that Nightjar trained go on learning."
    )
