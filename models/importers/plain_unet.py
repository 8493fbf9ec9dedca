"""nnU-Net's plain U-Net, built so that the names of its weights are those of an export (PlainConvUNet)."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

CONVOLUTIONS: dict[int, tuple[type[nn.Module], type[nn.Module], type[nn.Module]]] = {
    2: (nn.Conv2d, nn.ConvTranspose2d, nn.InstanceNorm2d),
    3: (nn.Conv3d, nn.ConvTranspose3d, nn.InstanceNorm3d),
}
Sizes = Sequence[Sequence[int]]


class PlainUNet(nn.Module):
    """Convolutions with instance normalisation, strided going down, transposed going up; logits at full size.

    Args:
        axes: 2 or 3.
        kernels, strides: one a stage, one number an axis.
        down, up: convolutions a stage, going down and going up.
    """

    def __init__(
        self, axes: int, channels: int, classes: int, *, features: Sequence[int], kernels: Sizes, strides: Sizes,
        down: Sequence[int], up: Sequence[int], eps: float, slope: float, bias: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        common: dict[str, Any] = {"axes": axes, "eps": eps, "slope": slope, "bias": bias}
        into = [channels, *features[:-1]]
        self.encoder = _Encoder(
            nn.Sequential(_Stack(count, first, last, kernel, stride, **common))
            for count, first, last, kernel, stride in zip(down, into, features, kernels, strides, strict=True)
        )
        convolution, transposed, _ = CONVOLUTIONS[axes]
        below = list(zip(features[:0:-1], features[-2::-1], strides[:0:-1], kernels[-2::-1], strict=True))
        self.decoder = _Decoder(
            (
                _Stack(count, 2 * skip, skip, kernel, [1] * axes, **common)
                for count, (_, skip, _, kernel) in zip(up, below, strict=True)
            ),
            (transposed(deep, skip, tuple(stride), tuple(stride), bias=bias) for deep, skip, stride, _ in below),
            (convolution(skip, classes, 1) for _, skip, _, _ in below),
        )

    def forward(self, image: Tensor) -> Tensor:
        skips = []
        for stage in self.encoder.stages:
            image = stage(image)
            skips.append(image)
        skips.pop()
        for up, stage in zip(self.decoder.transpconvs, self.decoder.stages, strict=True):
            image = stage(torch.cat((up(image), skips.pop()), 1))
        logits: Tensor = self.decoder.seg_layers[-1](image)
        return logits


class _Encoder(nn.Module):
    def __init__(self, stages: Iterable[nn.Module]) -> None:
        super().__init__()
        self.stages = nn.Sequential(*stages)


class _Decoder(nn.Module):
    def __init__(
        self, stages: Iterable[nn.Module], transpconvs: Iterable[nn.Module], seg_layers: Iterable[nn.Module]
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.transpconvs = nn.ModuleList(transpconvs)
        self.seg_layers = nn.ModuleList(seg_layers)


class _Stack(nn.Module):
    def __init__(
        self, count: int, first: int, last: int, kernel: Sequence[int], stride: Sequence[int], *,
        axes: int, eps: float, slope: float, bias: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.convs = nn.Sequential(
            *(
                _Block(last if k else first, last, kernel, [1] * axes if k else stride, axes, eps, slope, bias)
                for k in range(count)
            )
        )

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.convs(image)
        return result


class _Block(nn.Module):
    def __init__(
        self, first: int, last: int, kernel: Sequence[int], stride: Sequence[int], axes: int, eps: float, slope: float,
        bias: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        convolution, _, norm = CONVOLUTIONS[axes]
        padding = tuple((size - 1) // 2 for size in kernel)
        self.conv = convolution(first, last, tuple(kernel), tuple(stride), padding, bias=bias)
        self.norm = norm(last, eps=eps, affine=True)
        self.nonlin = nn.LeakyReLU(slope)

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.nonlin(self.norm(self.conv(image)))
        return result
