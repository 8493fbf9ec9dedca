"""Instances as they lie in the store: headers without pixels, frames one by one, whole files in pieces."""

import math
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import BinaryIO

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, ExplicitVRLittleEndian

from models.decoding import decode_frames, decompress
from services.dicomweb.media import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, NATIVE
from services.ledger.holdings import Held
from services.storage import Store

PIECE_BYTES = 1 << 20
_PIXELS = {
    b"\xe0\x7f\x10\x00": "7FE00010",  # Pixel Data
    b"\xe0\x7f\x08\x00": "7FE00008",  # Float Pixel Data
    b"\xe0\x7f\x09\x00": "7FE00009",  # Double Float Pixel Data
}
_LONG = (b"OB", b"OW", b"OF", b"OD", b"UN")  # value representations with a length of four bytes


def read_pieces(file: BinaryIO) -> Iterator[bytes]:
    """A file to its end, closed afterwards."""
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def read_header(file: BinaryIO) -> tuple[Dataset, str | None]:
    """The data set without its pixels, and the tag under which it has some; `file` is left at that element."""
    header = dcmread(file, stop_before_pixels=True)
    if header.file_meta.TransferSyntaxUID == DEFLATED:
        file.seek(0)
        whole = dcmread(file)  # inflated, so the file's own position says nothing
        return header, next((tag for tag in _PIXELS.values() if tag in whole), None)
    start = file.tell()
    tag = _PIXELS.get(file.read(4))
    file.seek(start)
    return header, tag


def can_transcode(transfer_syntax_uid: str) -> bool:
    """Whether an instance can be given in Explicit VR Little Endian."""
    if transfer_syntax_uid in NATIVE:
        return transfer_syntax_uid != BIG_ENDIAN
    try:
        return bool(get_decoder(UID(transfer_syntax_uid)).is_available)
    except NotImplementedError:
        return False


def transcode(file: BinaryIO) -> bytes:
    """A Part 10 file in Explicit VR Little Endian, pixels decoded. One instance in memory."""
    with file, disable_value_validation():
        dataset = dcmread(file)
        if dataset.file_meta.TransferSyntaxUID in NATIVE:
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        else:
            decompress(dataset)
        buffer = BytesIO()
        dcmwrite(buffer, dataset, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def count_frames(store: Store, held: Held) -> int:
    """How many frames an instance has; 0 when it has no pixels."""
    with store.open(held.digest) as file:
        header, tag = read_header(file)
    return 0 if tag is None else int(header.get("NumberOfFrames") or 1)


def read_frames(store: Store, held: Held, numbers: Sequence[int], *, decoded: bool) -> Iterator[bytes]:
    """Frames by number, 1-based, each within the instance: as native little-endian pixels, or as kept."""
    syntax = held.transfer_syntax_uid
    with store.open(held.digest) as file:
        if syntax in (EXPLICIT, IMPLICIT):
            header, _ = read_header(file)
            file.seek(12 if syntax == EXPLICIT and _representation(file) in _LONG else 8, 1)
            yield from _native(file, header, numbers)
        elif syntax == DEFLATED:
            dataset = dcmread(file)
            pixels = next(dataset[tag].value for tag in _PIXELS.values() if tag in dataset)
            yield from _native(BytesIO(pixels), dataset, numbers)
        elif decoded:
            for array in decode_frames(file.read(), numbers):
                yield array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        else:
            yield from _encapsulated(file, numbers)


def read_bulk(store: Store, held: Held, path: str) -> bytes:
    """The binary value of one element by its path: a tag, or tag/item/tag ...

    Raises:
        KeyError: there is no such element.
    """
    with store.open(held.digest) as file:
        dataset = dcmread(file)
    *ancestors, tag = path.split("/")
    try:
        for sequence, item in zip(ancestors[::2], ancestors[1::2], strict=True):
            dataset = dataset[int(sequence, 16)].value[int(item)]
        value = dataset[int(tag, 16)].value
    except (ValueError, IndexError, TypeError):
        raise KeyError(path) from None
    if not isinstance(value, bytes):
        raise KeyError(path)
    return value


def _native(file: BinaryIO, header: Dataset, numbers: Sequence[int]) -> Iterator[bytes]:
    """Frames of a file that stands at the first one."""
    start = file.tell()
    bits = math.prod(int(header.get(keyword) or 1) for keyword in ("Rows", "Columns", "SamplesPerPixel"))
    bits *= int(header.get("BitsAllocated") or 8)
    if header.get("PhotometricInterpretation") == "YBR_FULL_422":
        bits = bits * 2 // 3  # two pixels share their colour (PS3.3 C.7.6.3.1.2)
    for number in numbers:
        first = (number - 1) * bits
        file.seek(start + first // 8)
        data = file.read((first % 8 + bits + 7) // 8)
        if first % 8 or bits % 8:
            # Frames of single bits follow each other without padding; alone, one begins at a byte (PS3.5 8.1.1).
            unpacked = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[first % 8 : first % 8 + bits]
            data = np.packbits(unpacked, bitorder="little").tobytes()
        yield data


def _representation(file: BinaryIO) -> bytes:
    start = file.tell()
    representation = file.read(6)[4:]
    file.seek(start)
    return representation


def _encapsulated(file: BinaryIO, numbers: Sequence[int]) -> Iterator[bytes]:
    header, _ = read_header(file)
    start = file.seek(12, 1)
    offsets = header.get("ExtendedOffsetTable"), header.get("ExtendedOffsetTableLengths")
    for number in numbers:
        file.seek(start)
        yield get_frame(
            file,
            number - 1,
            number_of_frames=int(header.get("NumberOfFrames") or 1),
            extended_offsets=None if None in offsets else offsets,
        )
