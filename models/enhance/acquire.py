"""A scanner that skips the outer phase-encoding lines: from a fully sampled image to the one it would have given.

Training, evaluation and the demonstration see the same scanner. The phase axis is the last one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Image = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

PHASE_RAD = 1.5
"""How far coil and field turn the phase over the image, standard deviation of each slow term."""


@dataclass(frozen=True)
class Shortcut:
    """What was saved, and what went wrong.

    Attributes:
        fraction: share of the phase-encoding lines acquired, the central ones.
        partial_fourier: of those lines, the share acquired; the rest lie on one side and are inferred by symmetry.
        noise: of each of the two channels, in units of the image.
        motion_px: how far the head drifts along the phase axis during the scan, standard deviation, pixels.
        slow_phase: whether the image has the phase that coils and field give it; needed for the two above to matter.
    """

    fraction: float
    partial_fourier: float = 1.0
    noise: float = 0.0
    motion_px: float = 0.0
    slow_phase: bool = True


def acquire(truth: Image, shortcut: Shortcut, rng: np.random.Generator) -> Image:
    """The magnitude images, zero-filled to the grid of the truth, (..., readout, phase)."""
    pixels = truth.shape[-1]
    bins = np.rint(fft.fftfreq(pixels) * pixels)
    image = truth.astype(np.complex64)
    if shortcut.slow_phase:
        image *= np.exp(1j * _slow_phase(truth.shape[-2:], rng)).astype(np.complex64)
    spectrum: Spectrum = fft.fft(image, axis=-1)
    if shortcut.motion_px:
        spectrum *= _motion(bins, pixels, shortcut.motion_px, rng)
    if shortcut.noise:
        noise = rng.standard_normal((2, *spectrum.shape), np.float32) * np.float32(shortcut.noise * np.sqrt(pixels))
        spectrum += noise[0] + 1j * noise[1]
    last = shortcut.fraction * pixels / 2
    spectrum[..., np.abs(bins) > last] = 0
    if shortcut.partial_fourier < 1:
        return _homodyne(spectrum, bins, (2 * shortcut.partial_fourier - 1) * last)
    return np.asarray(np.abs(fft.ifft(spectrum, axis=-1)), np.float32)


def _slow_phase(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    y, x = (np.linspace(-1, 1, n) for n in shape)
    y, x = y[:, None], x[None, :]
    terms = (np.ones((1, 1)), y, x, y * y, x * x, x * y)
    return np.asarray(sum(rng.normal(0, PHASE_RAD) * term for term in terms))


def _motion(bins: NDArray[np.float64], pixels: int, size_px: float, rng: np.random.Generator) -> Spectrum:
    """Lines are acquired from one edge of k-space to the other, and the head drifts and nods meanwhile."""
    time = (bins - bins.min()) / np.ptp(bins)
    middle = rng.uniform(-0.5, 0.5) * (time - 0.5) + 0.3 * np.sin(2 * np.pi * (rng.uniform(1, 4) * time + rng.random()))
    shift = size_px * (middle - middle[0])  # the centre of k-space decides where the head is seen
    return np.asarray(np.exp(-2j * np.pi * bins / pixels * shift), np.complex64)


def _homodyne(spectrum: Spectrum, bins: NDArray[np.float64], centre: float) -> Image:
    """Lines below `-centre` were not acquired: their mirror images count twice, by the phase of the centre."""
    slow = fft.ifft(np.where(np.abs(bins) <= centre, spectrum, 0), axis=-1)
    weight = np.clip(1 + bins / max(centre, 1), 0, 2)
    image = fft.ifft(spectrum * weight, axis=-1) * np.exp(-1j * np.angle(slow))
    return np.asarray(np.maximum(image.real, 0), np.float32)
