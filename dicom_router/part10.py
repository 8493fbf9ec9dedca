"""The Part 10 header (PS3.10 7.1) put before a data set as it came; the data set itself is never touched."""

import struct

IMPLEMENTATION_CLASS_UID = "2.25.195742054219055507582218330995744434229"
IMPLEMENTATION_VERSION_NAME = "NIGHTJAR"


def part10(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, data_set: bytes) -> bytes:
    """A DICOM file: zeroed preamble, file meta information, then `data_set` byte for byte."""
    elements = b"".join(
        (
            struct.pack("<HH2sHL", 0x0002, 0x0001, b"OB", 0, 2) + b"\x00\x01",
            _uid(0x0002, sop_class_uid),
            _uid(0x0003, sop_instance_uid),
            _uid(0x0010, transfer_syntax_uid),
            _uid(0x0012, IMPLEMENTATION_CLASS_UID),
            _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii"), b" "),
        )
    )
    group_length = struct.pack("<HH2sHL", 0x0002, 0x0000, b"UL", 4, len(elements))
    return b"".join((bytes(128), b"DICM", group_length, elements, data_set))


def _uid(element: int, value: str) -> bytes:
    return _element(element, b"UI", value.encode("ascii", "replace")[:64], b"\x00")


def _element(element: int, representation: bytes, value: bytes, padding: bytes) -> bytes:
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 0x0002, element, representation, len(value)) + value
