"""The network of an ONNX file in torch again: widths by its shapes, every convolution by the name of its weight.

The exporter folded each batch normalisation into the convolution before it, so the network that goes on learning has
none: a convolution with a bias in its place, which computes the same and needs no statistics of small batches.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from models.errors import InvalidCard
from models.ich.train.network import FOLD, Block, SliceUNet

Initialisers = dict[str, NDArray[Any]]


def read_network(weights: Path) -> SliceUNet:
    """The network whose logits are those of the file.

    Raises:
        InvalidCard: the file holds another network.
    """
    try:
        graph = onnx.load(str(weights)).graph
    except Exception as error:  # what a damaged file raises is the parser's affair
        raise InvalidCard(f"{weights.name} cannot be read as ONNX.") from error
    given = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    # Folded biases have names of the exporter's, and one that is zero is left away.
    given |= {
        f"{weight.removesuffix('.weight')}.bias": given[bias[0]] if bias else np.zeros(len(given[weight]), np.float32)
        for _, weight, *bias in (node.input for node in graph.node if node.op_type == "Conv")
        if {weight, *bias} <= given.keys()
    }
    network = _empty(given, weights.name)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(_find(given, name, tuple(parameter.shape), weights.name)))
    return network


def fold(network: SliceUNet) -> SliceUNet:
    """Every convolution of the body with a bias instead of the normalisation after it, in place; weights are lost."""
    for module in network.modules():
        if isinstance(module, Block):
            for place, layer in enumerate(module.body):
                if isinstance(layer, nn.Conv2d):
                    module.body[place] = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)
                elif isinstance(layer, nn.BatchNorm2d):
                    module.body[place] = nn.Identity()
    return network


def _empty(given: Initialisers, file: str) -> SliceUNet:
    """A network of the file's widths."""
    entrances: list[tuple[int, ...]] = []
    while (name := f"down.{len(entrances)}.shortcut.weight") in given:
        entrances.append(given[name].shape)
    if len(entrances) < 2 or "head.bias" not in given:
        raise _foreign(file, "down.0.shortcut.weight")
    inputs, outputs = entrances[0][1] // FOLD**2, len(given["head.bias"]) // FOLD**2
    return fold(SliceUNet(inputs, outputs, tuple(shape[0] for shape in entrances)))


def _find(given: Initialisers, name: str, shape: tuple[int, ...], file: str) -> NDArray[Any]:
    if name not in given or given[name].shape != shape:
        raise _foreign(file, name)
    return given[name].copy()


def _foreign(file: str, name: str) -> InvalidCard:
    return InvalidCard(
        f"{file} holds no {name} of the right shape: only networks that Nightjar trained go on learning."
    )
