"""Part 10 files (PS3.10) split without decoding: file meta information read, the data set's bytes left as they are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PREAMBLE = 128
_PREFIX = b"DICM"
_LONG_VRS = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT")
_HEAD_BYTES = 64 * 1024


class NotDICOM(Exception):
    """The bytes are no Part 10 file, or one without the file meta information needed to send it."""


@dataclass(frozen=True)
class StoredInstance:
    """An instance as it lies in a Part 10 file.

    Attributes:
        transfer_syntax_uid: of the bytes that `load` returns.
        load: the data set's bytes, without preamble and file meta information.
        source: where it came from, for messages.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    load: Callable[[], bytes]
    source: str = ""


def from_bytes(data: bytes) -> StoredInstance:
    """An instance from the bytes of a Part 10 file.

    Raises:
        NotDICOM: it is none.
    """
    meta, offset = _read_meta(data)
    return StoredInstance(*meta, load=lambda: data[offset:])


def from_path(path: Path) -> StoredInstance:
    """An instance from a Part 10 file, read only when it is sent.

    Raises:
        NotDICOM: it is none.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    try:
        meta, offset = _read_meta(head)
    except NotDICOM:
        if len(head) < _HEAD_BYTES:
            raise
        meta, offset = _read_meta(path.read_bytes())
    return StoredInstance(*meta, load=lambda: path.read_bytes()[offset:], source=str(path))


def _read_meta(data: bytes) -> tuple[tuple[str, str, str], int]:
    """((SOP class, SOP instance, transfer syntax), offset of the data set); group length is not relied upon."""
    if data[_PREAMBLE : _PREAMBLE + 4] != _PREFIX:
        raise NotDICOM("no DICM prefix")
    offset = _PREAMBLE + 4
    values: dict[int, str] = {}
    while data[offset : offset + 2] == b"\x02\x00":
        element = int.from_bytes(data[offset + 2 : offset + 4], "little")
        long_length = data[offset + 4 : offset + 6] in _LONG_VRS
        start = offset + (12 if long_length else 8)
        length = int.from_bytes(data[offset + 8 : start] if long_length else data[offset + 6 : start], "little")
        if start + length > len(data):
            raise NotDICOM("file meta information is cut short")
        values[element] = data[start : start + length].decode("ascii", "replace").rstrip("\0 ")
        offset = start + length
    try:
        meta = values[0x0002], values[0x0003], values[0x0010]
    except KeyError as error:
        raise NotDICOM("file meta information lacks a UID") from error
    if not all(meta):
        raise NotDICOM("file meta information lacks a UID")
    return meta, offset
