"""From an MR series to the network's planes, and from its detail back to the acquired grid.

The planes lie on the grid that the readout's resolution fills: an image that the scanner interpolated beyond it is cut
back in k-space first, and what is added is zero-filled to the image's grid again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.enhance.detect import find_encoding
from models.enhance.kspace import Band, Image, resize, unmeasured
from models.errors import InvalidVolume
from models.phase import PhaseEncoding
from models.volume import Volume

LOWEST, HIGHEST = 0.58, 0.87
"""Shares of the phase resolution that the network learned to complete."""

SIDE = 4
"""Sides of the network's input are multiples of this."""

SMALLEST = 64


@dataclass(frozen=True, eq=False)
class Planes:
    """The network's input, and the way back.

    Attributes:
        images: float32 (slices, readout, phase), brightest tissue near 1.
        band: what was measured along the phase axis of `images`.
        scale: stored values of the brightest tissue.
        shape: (readout, phase) of the acquired image.
    """

    images: Image
    band: Band
    encoding: PhaseEncoding
    scale: float
    shape: tuple[int, int]

    def batch(self, start: int, size: int) -> NDArray[np.float32]:
        """Some planes as the network takes them: (slices, 2, readout, phase), sides filled up to multiples of SIDE."""
        part = self.images[start : start + size]
        filling = [(0, -side % SIDE) for side in part.shape[1:]]
        part = np.pad(part, ((0, 0), *filling), mode="edge")
        return np.stack([part, np.full_like(part, self.band.fraction)], axis=1)

    def restore(self, detail: Image) -> Image:
        """What the network would add, (slices, readout, phase), on the acquired grid, (slice, row, column), in its
        units; of frequencies that were measured nothing is left in it."""
        detail = unmeasured(detail[:, : self.images.shape[1], : self.images.shape[2]], self.band)
        for axis, pixels in ((1, self.shape[0]), (2, self.shape[1])):
            detail = resize(detail, pixels, axis)
        detail *= np.float32(self.scale)
        return detail if self.encoding.axis == 2 else np.ascontiguousarray(detail.transpose(0, 2, 1))


def prepare(volume: Volume) -> Planes:
    """Lay a series out for the network.

    Raises:
        InvalidVolume: it is not known, or not true, that the phase-encoding resolution was cut; or there is no signal.
    """
    encoding = volume.encoding or find_encoding(volume)
    if encoding is None:
        raise InvalidVolume(
            "Neither header nor k-space says that phase-encoding lines were left out; this model completes them."
        )
    if not LOWEST <= encoding.fraction <= HIGHEST:
        raise InvalidVolume(
            f"The phase-encoding resolution is {100 * encoding.fraction:.0f} % of the readout's; this model completes "
            f"{100 * LOWEST:.0f} to {100 * HIGHEST:.0f} %."
        )
    voxels = volume.voxels if encoding.axis == 2 else volume.voxels.transpose(0, 2, 1)
    shape = (voxels.shape[1], voxels.shape[2])
    if min(shape) < SMALLEST:
        raise InvalidVolume(f"The slices are {shape[0]} x {shape[1]} pixels; this model needs {SMALLEST} each way.")
    positive = voxels[voxels > 0]
    if not positive.size:
        raise InvalidVolume("There is no signal in these slices.")
    scale = float(np.percentile(positive, 99))
    images = np.asarray(voxels / np.float32(scale), np.float32)
    for axis, finest in ((1, encoding.readout), (2, encoding.full)):
        images = resize(images, _filled(shape[axis - 1], finest), axis)
    measured = encoding.measured * shape[1] / images.shape[2]
    return Planes(np.ascontiguousarray(images), Band(measured), encoding, scale, shape)


def _filled(pixels: int, finest: float) -> int:
    """Pixels of the grid that frequencies up to `finest` fill, even; the image's own where it is filled but a bit."""
    needed = 2 * int(np.ceil(pixels * finest))
    return pixels if needed > 0.97 * pixels else max(SMALLEST, needed)
