"""Mosaics: all slices of a volume side by side in one classic MR image, as Siemens and United Imaging write diffusion.

Its Image Position (Patient) is none of a slice's; where the slices lie stands in private attributes alone.
"""

import math
import struct
import warnings
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import DSfloat

from models.decoding import decode
from models.errors import InvalidVolume

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # nibabel calls its readers of whole series experimental; this is none
    from nibabel.nicom import csareader

SIEMENS, UNITED_IMAGING = "MOSAIC", "VFRAME"
"""What Image Type says of one, by who writes it."""

_UNREADABLE = (AttributeError, KeyError, IndexError, TypeError, ValueError, struct.error, csareader.CSAError)


@dataclass(frozen=True, eq=False)
class Tile:
    """A slice in its mosaic: which pixels, and where its first one lies, LPS mm (3,)."""

    rows: slice
    columns: slice
    position_mm: NDArray[np.float64]


def is_mosaic(image: Dataset) -> bool:
    """Whether a classic MR image shows several slices side by side."""
    return image.get("Modality") == "MR" and not {SIEMENS, UNITED_IMAGING}.isdisjoint(image.get("ImageType") or ())


def tiles_of(image: Dataset) -> list[Tile]:
    """The slices of a mosaic, in the order they lie in it: row by row, from the upper left.

    Raises:
        InvalidVolume: its header does not say how many there are and where they lie.
    """
    try:
        return list(_siemens(image) if SIEMENS in image.ImageType else _united_imaging(image))
    except _UNREADABLE as error:
        raise InvalidVolume(
            "An instance is a mosaic that does not say where its slices lie: its private attributes are gone or "
            "damaged. Send the series as the scanner wrote it, or one image a slice."
        ) from error


def unfold(image: Dataset) -> list[Dataset]:
    """The slices of a mosaic as classic images with UIDs of their own, the same at every call; of any other, itself.

    Raises:
        InvalidVolume: see `tiles_of`.
    """
    if not is_mosaic(image):
        return [image]
    pixels, tiles = decode(image), tiles_of(image)
    slices = []
    for number, tile in enumerate(tiles, start=1):
        one = deepcopy(image)
        one.SOPInstanceUID = generate_uid(entropy_srcs=[str(image.SOPInstanceUID), str(number)])
        one.ImageType = [value for value in image.ImageType if value not in (SIEMENS, UNITED_IMAGING)]
        one.InstanceNumber = (int(image.get("InstanceNumber") or 1) - 1) * len(tiles) + number
        one.ImagePositionPatient = [DSfloat(value, auto_format=True) for value in tile.position_mm.tolist()]
        part = pixels[tile.rows, tile.columns]
        one.Rows, one.Columns = part.shape
        one.PixelData = part.tobytes()
        one["PixelData"].VR = "OW"
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slices.append(one)
    return slices


def _united_imaging(image: Dataset) -> Iterator[Tile]:
    """A private sequence has an item a slice, with a position of its own."""
    private = image.private_block(0x0065, "Image Private Header")
    slices = private[0x51].value
    if len(slices) != int(private[0x50].value):
        raise ValueError
    across = math.ceil(math.sqrt(len(slices)))
    places = _places(image, len(slices), across, -(-len(slices) // across))
    for item, (rows, columns) in zip(slices, places, strict=True):
        yield Tile(rows, columns, np.array(item.ImagePositionPatient, np.float64))


def _siemens(image: Dataset) -> Iterator[Tile]:
    """A square of tiles; the first slice's middle is that of the mosaic's plane, the others follow along a normal.

    That normal, and with it which way slices go, is in the CSA header (as dcm2niix and nibabel read it).
    """
    count = int(image.private_block(0x0019, "SIEMENS MR HEADER")[0x0A].value)
    normal = np.array(csareader.get_slice_normal(csareader.get_csa_header(image)), np.float64)
    row, column = np.array(image.ImageOrientationPatient, np.float64).reshape(2, 3)
    if abs(abs(float(normal @ np.cross(row, column))) - 1) > 0.01:
        raise ValueError
    across = math.ceil(math.sqrt(count))
    places = _places(image, count, across, across)
    between_rows, between_columns = (float(value) for value in image.PixelSpacing)
    beyond_rows, beyond_columns = (side * (1 - 1 / across) / 2 for side in (image.Rows, image.Columns))
    first = np.array(image.ImagePositionPatient, np.float64)
    first += row * between_columns * beyond_columns + column * between_rows * beyond_rows
    for number, (rows, columns) in enumerate(places):
        yield Tile(rows, columns, first + normal * number * float(image.SpacingBetweenSlices))


def _places(image: Dataset, count: int, across: int, down: int) -> list[tuple[slice, slice]]:
    """Rows and columns of every tile."""
    if count < 1 or image.Rows % down or image.Columns % across:
        raise ValueError
    height, width = image.Rows // down, image.Columns // across
    corners = ((number // across * height, number % across * width) for number in range(count))
    return [(slice(top, top + height), slice(left, left + width)) for top, left in corners]
