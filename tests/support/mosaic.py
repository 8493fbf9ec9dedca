"""Classic instances of a volume as one mosaic, the way Siemens and United Imaging write diffusion."""

import math
import struct
from collections.abc import Sequence
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat


def united_imaging(slices: Sequence[Dataset]) -> Dataset:
    """One mosaic in the slices' order, which has no position of its own; the last row of tiles may be short."""
    across = math.ceil(math.sqrt(len(slices)))
    mosaic = _side_by_side(slices, across, -(-len(slices) // across), "VFRAME")
    del mosaic.ImagePositionPatient
    items = []
    for each in slices:
        item = Dataset()
        item.ImagePositionPatient = each.ImagePositionPatient
        items.append(item)
    private = mosaic.private_block(0x0065, "Image Private Header", create=True)
    private.add_new(0x50, "DS", str(len(slices)))
    private.add_new(0x51, "SQ", items)
    return mosaic


def siemens(slices: Sequence[Dataset]) -> Dataset:
    """One mosaic in the slices' order, evenly spaced; it is a square, so its last tiles may be empty."""
    across = math.ceil(math.sqrt(len(slices)))
    mosaic = _side_by_side(slices, across, across, "MOSAIC")
    first, second = (np.array(each.ImagePositionPatient, float) for each in slices[:2])
    step = float(np.linalg.norm(second - first))
    row, column = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = (float(value) for value in slices[0].PixelSpacing)
    # As if the whole mosaic were one slice around the middle of the first.
    corner = first - row * between_columns * (mosaic.Columns - slices[0].Columns) / 2
    corner -= column * between_rows * (mosaic.Rows - slices[0].Rows) / 2
    mosaic.ImagePositionPatient = [DSfloat(value, auto_format=True) for value in corner]
    mosaic.SpacingBetweenSlices = DSfloat(step, auto_format=True)
    mosaic.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", len(slices))
    header = _csa({"SliceNormalVector": (second - first) / step})
    mosaic.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", header)
    return mosaic


def _side_by_side(slices: Sequence[Dataset], across: int, down: int, kind: str) -> Dataset:
    first = slices[0]
    mosaic = deepcopy(first)
    height, width = first.Rows, first.Columns
    pixels = np.zeros((down * height, across * width), _pixels(first).dtype)
    for number, each in enumerate(slices):
        top, left = number // across * height, number % across * width
        pixels[top : top + height, left : left + width] = _pixels(each)
    mosaic.Rows, mosaic.Columns = pixels.shape
    mosaic.PixelData = pixels.tobytes()
    mosaic.ImageType = [*first.ImageType, kind]
    return mosaic


def _pixels(image: Dataset) -> NDArray[np.integer]:
    kind = "<i2" if image.PixelRepresentation else "<u2"
    return np.frombuffer(image.PixelData, kind).reshape(image.Rows, image.Columns)


def _csa(vectors: dict[str, NDArray[np.float64]]) -> bytes:
    """A CSA2 header, as dcm2niix's and nibabel's authors describe the format."""
    parts = [b"SV10\4\3\2\1", struct.pack("<2I", len(vectors), 77)]
    for name, values in vectors.items():
        items = [f"{value:.8f}".encode() + b"\0" for value in values]
        parts.append(struct.pack("<64si4s3i", name.encode(), len(items), b"FD", 4, len(items), 77))
        for item in items:
            parts.append(struct.pack("<4i", len(item), len(item), 77, len(item)))
            parts.append(item + b"\0" * (-len(item) % 4))
    return b"".join(parts)
