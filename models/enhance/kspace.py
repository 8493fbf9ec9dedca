"""Spatial frequencies along the phase-encoding axis, which is the last axis of every array here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Band:
    """Frequencies along one axis, in cycles per pixel; 0.5 is the finest a grid holds.

    Attributes:
        measured: up to here lines were acquired.
        full: up to here the readout's resolution reaches, and the enhanced image.
    """

    measured: float
    full: float = 0.5

    @property
    def fraction(self) -> float:
        """Share of the full band that was measured."""
        return self.measured / self.full


def frequencies(pixels: int) -> NDArray[np.float64]:
    """Of the bins of a real transform over so many pixels, cycles per pixel."""
    return np.asarray(fft.rfftfreq(pixels))


def unmeasured(image: Image, band: Band) -> Image:
    """The part of an image, (..., phase), that no line measured and the full band holds."""
    bins = frequencies(image.shape[-1])
    spectrum = fft.rfft(image, axis=-1)
    spectrum[..., (bins <= band.measured) | (bins > band.full)] = 0
    return np.asarray(fft.irfft(spectrum, image.shape[-1], axis=-1), np.float32)


def resize(image: Image, pixels: int, axis: int) -> Image:
    """The same field of view in more or fewer pixels: k-space cut or zero-filled along one axis, values kept."""
    before = image.shape[axis]
    if pixels == before:
        return image
    # The last bin of an even grid belongs to no single frequency and is left out.
    common = (min(before, pixels) + 1) // 2
    spectrum = np.moveaxis(fft.rfft(image, axis=axis), axis, -1)[..., :common]
    resized = fft.irfft(spectrum, pixels, axis=-1) * (pixels / before)
    return np.asarray(np.moveaxis(resized, -1, axis), np.float32)
