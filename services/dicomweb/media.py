"""What a client accepts (PS3.18 8.7) and what it gets. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message

DICOM, DICOM_JSON, OCTETS = "application/dicom", "application/dicom+json", "application/octet-stream"
MULTIPART = "multipart/related"
ANY = "*"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
NATIVE = frozenset({EXPLICIT, IMPLICIT, DEFLATED, BIG_ENDIAN})

_ITEM = re.compile(r'(?:[^,"]|"[^"]*")+')
_JSON = frozenset({DICOM_JSON, "application/json", "application/*", "*/*"})
# Media type of one frame's bitstream by transfer syntax (PS3.18 table 8.7.3-5).
_IMAGES = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}


@dataclass(frozen=True)
class MediaRange:
    """One entry of an Accept header.

    Attributes:
        kind: such as multipart/related; lower case.
        type: of the parts of a multipart answer, or `kind` itself; */* where nothing is said.
        transfer_syntax: a UID, "*" for whatever there is, or None for the default.
    """

    kind: str
    type: str
    transfer_syntax: str | None

    @property
    def is_multipart(self) -> bool:
        return self.kind in (MULTIPART, "multipart/*", "*/*")


@dataclass(frozen=True)
class FrameForm:
    """How a frame is sent: decoded or as its bitstream is kept, and what its part says of it."""

    decoded: bool
    content_type: str


def parse_accept(header: str) -> list[MediaRange]:
    """The entries by preference; nothing said accepts anything."""
    if not header.strip():
        return [MediaRange("*/*", "*/*", None)]
    ranges: list[tuple[float, MediaRange]] = []
    for item in _ITEM.findall(header):
        message = Message()
        message["content-type"] = item.strip()
        (kind, _), *pairs = message.get_params() or [("", "")]
        parameters = {name.lower(): value.strip() for name, value in pairs}
        if not kind:
            continue
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            quality = 0.0
        parts = parameters.get("type", "*/*").lower() if kind.lower() in (MULTIPART, "multipart/*") else kind.lower()
        ranges.append((quality, MediaRange(kind.lower(), parts, parameters.get("transfer-syntax"))))
    ranges.sort(key=lambda pair: -pair[0])
    return [entry for quality, entry in ranges if quality > 0]


def accepts_json(ranges: Sequence[MediaRange]) -> bool:
    return any(entry.kind in _JSON for entry in ranges)


def instance_syntaxes(ranges: Sequence[MediaRange]) -> list[str]:
    """Transfer syntaxes in which whole instances are accepted, by preference; empty: in none."""
    wanted = [entry.transfer_syntax or EXPLICIT for entry in ranges if entry.type in (DICOM, "application/*", "*/*")]
    return list(dict.fromkeys(wanted))


def frame_form(ranges: Sequence[MediaRange], stored: str) -> FrameForm | None:
    """How frames kept in the transfer syntax `stored` are sent; None: nothing that is accepted can be made of them."""
    image = _IMAGES.get(stored)
    as_kept = FrameForm(decoded=False, content_type=f"{image}; transfer-syntax={stored}")
    plain = FrameForm(decoded=True, content_type=f"{OCTETS}; transfer-syntax={EXPLICIT}")
    for entry in ranges:
        if entry.type in (OCTETS, "application/*", "*/*"):
            if stored in NATIVE and entry.transfer_syntax in (None, ANY, EXPLICIT):
                return plain
            if entry.transfer_syntax in (ANY, stored) and image is not None:
                return FrameForm(decoded=False, content_type=f"{OCTETS}; transfer-syntax={stored}")
            if entry.transfer_syntax in (None, EXPLICIT):
                return plain
        if image is not None and entry.type in (image, "image/*") and entry.transfer_syntax in (None, ANY, stored):
            return as_kept
    return None
