"""Pixels that name nobody: text blanked, bits and bytes beyond the image gone, everything decompressed.

A compressed stream can carry comments beside its pixels, so none is passed on. What is a page or a screen rather than
an image is held back, and so is every image that says it holds text in which none is found. Where text is the rule, no
search decides: of ultrasound only its own regions stay, and captures, photographs and lossy copies stay here.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    ExplicitVRBigEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from models.decoding import decompress
from models.mosaic import is_mosaic
from services.datasets.deidentify.box import Box
from services.datasets.deidentify.hold import Hold
from services.datasets.deidentify.text import find_text

_LOSSY: Final = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K)
_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_ULTRASOUND: Final = ("1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1")
_SCREENS: Final = ("SCREEN SAVE", "SCREENSAVE", "SCREEN", "SCREENSHOT", "DOSE", "DOSE_INFO", "PROTOCOL", "REPORT")
_PAGES: Final = {"SD": "a scanned document", "DF": "a digitised film"}
_CAPTURES: Final = ("OT", "SC", "ES")
_LETTERED: Final = ("US", "IVUS", "XA", "RF")
"""Modalities whose machines write into the image: in a copy compressed with loss no stroke keeps its value."""

_MOST_BLANKED: Final = 0.25
_RARELY: Final = ("CT", "MR", "PT")
"""Modalities whose images rarely hold text, and whose anatomy must not be taken for it."""

_UNREADABLE = (AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
_MEANINGS: Final = ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "PALETTE COLOR")


@dataclass
class Looked:
    """What was found in the pixels: rectangles blanked on how many frames."""

    frames: int = 0
    boxes: int = 0
    outside: bool = False
    text_outside: bool = False
    changed: bool = False
    places: list[tuple[int, Box]] = field(default_factory=list)


def hold_pages(dataset: Dataset) -> None:
    """Hold what no blanking helps: screens, scanned pages, objects without plain pixels.

    Raises:
        Hold: this object is one.
    """
    if "PixelData" not in dataset:
        raise Hold("It holds no image: reports, documents, waveforms and presentation states are not cleaned.")
    kinds = {str(value).strip().upper() for value in dataset.get("ImageType") or ()}
    if kinds & set(_SCREENS):
        raise Hold("It is a picture of a scanner's screen or a dose page: text throughout.")
    if is_mosaic(dataset):
        raise Hold("It is a mosaic of slices: the private attributes that say where they lie do not stay.")
    page = _PAGES.get(str(dataset.get("ConversionType") or ""))
    if page:
        raise Hold(f"It is {page}: writing by hand and print on paper are not found reliably.")
    modality, free = str(dataset.get("Modality") or ""), str(dataset.get("BurnedInAnnotation") or "").upper() == "NO"
    if modality in ("DOC", "ECG"):
        raise Hold("Its modality is one of documents.")
    if modality == "XC":
        raise Hold("It is a photograph: faces and what stands beside them are not found in it.")
    if (str(dataset.get("SOPClassUID")).startswith(_SECONDARY_CAPTURE) or modality in _CAPTURES) and not free:
        raise Hold("A capture that does not say it is free of text.")
    if modality in _LETTERED and _is_lossy(dataset) and not free:
        raise Hold("Compressed with loss, of a kind that often holds text, and it does not say it is free of it.")


def _is_lossy(dataset: Dataset) -> bool:
    meta = getattr(dataset, "file_meta", None)
    syntax = meta.get("TransferSyntaxUID") if meta else None
    return str(dataset.get("LossyImageCompression") or "") == "01" or syntax in _LOSSY


def clean_pixels(dataset: Dataset) -> Looked:
    """Decompress, cut what lies beyond the image, blank text; in place.

    Raises:
        Hold: pixels cannot be decoded, or text cannot be ruled out.
    """
    looked = Looked()
    lossy = _is_lossy(dataset)
    _decompress(dataset)
    if int(dataset.get("BitsAllocated") or 0) == 1:
        dataset.PixelData = _whole(dataset, 1)
        return looked
    pixels = _pixels(dataset)
    _drop_unused_bits(dataset, pixels, looked)
    if not str(dataset.get("SOPClassUID")).startswith(_SEGMENTATION):
        _blank_outside_regions(dataset, pixels, looked, lossy=lossy)
        _blank_text(dataset, pixels, looked, lossy=lossy)
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"
    return looked


def _decompress(dataset: Dataset) -> None:
    meta = getattr(dataset, "file_meta", None)
    syntax = meta.get("TransferSyntaxUID") if meta else None
    if syntax is None:
        raise Hold("It does not say its transfer syntax.")
    if syntax == ExplicitVRBigEndian:
        raise Hold("It is stored big endian, which the standard retired.")
    try:
        if syntax.is_compressed and syntax.is_encapsulated:
            decompress(dataset)
    except _UNREADABLE as error:
        raise Hold("Its pixels cannot be decompressed.") from error


def _pixels(dataset: Dataset) -> NDArray[Any]:
    """Stored values, (frame, row, column, sample); planar images as (frame, sample, row, column)."""
    if str(dataset.get("PhotometricInterpretation")) not in _MEANINGS:
        raise Hold("Its colours are stored in a way that is not cleaned here.")
    bits, size = int(dataset.BitsAllocated), int(dataset.get("SamplesPerPixel") or 1)
    if bits not in (8, 16, 32) or not 1 <= int(dataset.BitsStored) <= bits or dataset.HighBit != dataset.BitsStored - 1:
        raise Hold("Its pixels are stored in a layout that is not cleaned here.")
    kind = np.dtype(f"<{'i' if dataset.PixelRepresentation else 'u'}{bits // 8}")
    data = _whole(dataset, bits)
    frames = int(dataset.get("NumberOfFrames") or 1)
    shape: tuple[int, ...] = (frames, dataset.Rows, dataset.Columns, size)
    if size > 1 and dataset.get("PlanarConfiguration"):
        shape = (frames, size, dataset.Rows, dataset.Columns)
    count = int(np.prod(shape))
    return np.frombuffer(data, kind, count).reshape(shape).copy()


def _whole(dataset: Dataset, bits: int) -> bytes:
    """Exactly the bytes of the image: none may be missing, and what follows them goes."""
    values = (
        int(dataset.get("NumberOfFrames") or 1)
        * int(dataset.Rows)
        * int(dataset.Columns)
        * int(dataset.get("SamplesPerPixel") or 1)
    )
    length = (values * bits + 7) // 8
    data: bytes = dataset.PixelData
    if len(data) < length or not length:
        raise Hold("Its pixels end early.")
    return data[:length] + b"\0" * (length % 2)


def _drop_unused_bits(dataset: Dataset, pixels: NDArray[Any], looked: Looked) -> None:
    """Overlays can hide in the bits above the image's."""
    spare = int(dataset.BitsAllocated) - int(dataset.BitsStored)
    if spare:
        before = pixels.copy()
        np.left_shift(pixels, spare, out=pixels)
        np.right_shift(pixels, spare, out=pixels)
        looked.changed |= not np.array_equal(before, pixels)


def _planes(dataset: Dataset, pixels: NDArray[Any]) -> list[list[NDArray[Any]]]:
    """Of each frame its samples, each a view (row, column)."""
    if dataset.get("SamplesPerPixel", 1) > 1 and dataset.get("PlanarConfiguration"):
        return [list(frame) for frame in pixels]
    return [[frame[..., sample] for sample in range(frame.shape[-1])] for frame in pixels]


def _nothing(dataset: Dataset, planes: list[NDArray[Any]]) -> list[Any]:
    """The value of each sample that shows as black."""
    if dataset.PhotometricInterpretation == "YBR_FULL":
        return [0, 128, 128]
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        return [planes[0].max()]
    return [plane.min() if len(planes) == 1 else 0 for plane in planes]


def _blank(dataset: Dataset, planes: list[NDArray[Any]], box: Box, looked: Looked) -> None:
    for plane, value in zip(planes, _nothing(dataset, planes), strict=True):
        plane[box.top : box.bottom, box.left : box.right] = value
    looked.changed = True


def _blank_outside_regions(dataset: Dataset, pixels: NDArray[Any], looked: Looked, *, lossy: bool) -> None:
    """An ultrasound image says where its image is; what lies around it is the machine's and the patient's text."""
    if dataset.get("SOPClassUID") not in _ULTRASOUND and dataset.get("Modality") not in ("US", "IVUS"):
        return
    inside = np.zeros((dataset.Rows, dataset.Columns), np.bool_)
    for region in dataset.get("SequenceOfUltrasoundRegions") or ():
        try:
            inside[
                int(region.RegionLocationMinY0) : int(region.RegionLocationMaxY1) + 1,
                int(region.RegionLocationMinX0) : int(region.RegionLocationMaxX1) + 1,
            ] = True
        except AttributeError as error:
            raise Hold("An ultrasound region of it has no place.") from error
    if not inside.any():
        raise Hold("An ultrasound image that does not say where its image ends and its text begins.")
    frames = _planes(dataset, pixels)
    looked.text_outside = any(
        not inside[box.top : box.bottom, box.left : box.right].any()
        for box in _text_in(frames[0], lossy=lossy, eager=True)
    )
    for planes in frames:
        for plane, value in zip(planes, _nothing(dataset, planes), strict=True):
            plane[~inside] = value
    looked.outside = looked.changed = True


def _blank_text(dataset: Dataset, pixels: NDArray[Any], looked: Looked, *, lossy: bool) -> None:
    said = str(dataset.get("BurnedInAnnotation") or "").upper()
    eager = said == "YES" or dataset.get("Modality") not in _RARELY
    for number, planes in enumerate(_planes(dataset, pixels)):
        boxes = [box.grown(planes[0].shape) for box in _text_in(planes, lossy=lossy, eager=eager)]
        for box in boxes:
            _blank(dataset, planes, box, looked)
            looked.places.append((number, box))
        if boxes:
            looked.frames += 1
            looked.boxes += len(boxes)
            covered = np.zeros(planes[0].shape, np.bool_)
            for box in boxes:
                covered[box.top : box.bottom, box.left : box.right] = True
            if covered.mean() > _MOST_BLANKED:
                raise Hold("Text covers more than a quarter of it.")
            if _text_in(planes, lossy=lossy, eager=eager):
                raise Hold("Text is still found in it after blanking.")
    if said == "YES" and not (looked.boxes or looked.text_outside):
        raise Hold("Its header says that text is burned in, and none was found.")


def _text_in(planes: list[NDArray[Any]], *, lossy: bool, eager: bool) -> list[Box]:
    if len(planes) == 1:
        return find_text(planes[0], lossy=lossy, eager=eager)
    # Coloured letters may stand out in one sample alone.
    return [box for plane in planes for box in find_text(plane, lossy=lossy, eager=eager)]
