"""Decode single values of a data set without ever failing: a bad character must not cost an instance."""

import math
import struct

from pydicom.charset import convert_encodings, decode_bytes, python_encoding

Value = str | int | float | list[str] | list[float]

_BINARY = {"US": "<H", "SS": "<h", "UL": "<L", "FL": "<f", "FD": "<d"}
_TEXT = {"LO", "SH", "PN", "ST", "LT", "UT", "UC"}
_LONGEST = 1024
_MOST = 64


def decode_text(raw: bytes, charsets: tuple[str, ...]) -> str:
    """Text in the given Specific Character Set (PS3.5 6.1); where that does not fit the bytes, in what does."""
    if b"\x1b" in raw and charsets:
        try:
            return _clean(decode_bytes(raw, convert_encodings(list(charsets)), {0x5C, 0x5E, 0x3D}))
        except Exception:  # noqa: BLE001 - unknown or wrong character sets raise many kinds
            return _clean(raw.decode("latin-1"))
    declared = python_encoding.get(charsets[0]) if charsets and charsets[0] else None
    for encoding in (declared, "utf-8"):
        try:
            if encoding:
                return _clean(raw.decode(encoding))
        except (UnicodeDecodeError, LookupError):
            continue
    return _clean(raw.decode("latin-1"))


def _clean(text: str) -> str:
    """Postgres text holds neither NUL nor lone surrogates, and no page wants control characters."""
    text = "".join(" " if character < " " or "\x7f" <= character < "\xa0" else character for character in text)
    return text.encode("utf-8", "replace").decode("utf-8").strip()[:_LONGEST]


def decode_value(representation: str, raw: bytes, charsets: tuple[str, ...]) -> Value | None:
    """One element's value as JSON can hold it: number, text, or a list of one kind; None where it holds nothing."""
    if not raw:
        return None
    if representation in _BINARY:
        layout = _BINARY[representation]
        numbers = [
            number for (number,) in struct.iter_unpack(layout, raw[: len(raw) - len(raw) % struct.calcsize(layout)])
        ]
        if len(numbers) > 1:
            return [float(number) for number in numbers[:_MOST]]
        if not numbers:
            return None
        return numbers[0] if isinstance(numbers[0], int) else _finite(numbers[0])
    if representation in _TEXT:
        return decode_text(raw, charsets) or None
    parts = [_clean(part.decode("latin-1")) for part in raw.split(b"\\")[:_MOST]]
    if representation in ("DS", "IS"):
        numbers = [_number(part) for part in parts]
        if any(number is None for number in numbers):
            return None
        known = [number for number in numbers if number is not None]
        if len(known) == 1:
            return int(known[0]) if representation == "IS" else known[0]
        return known
    if not any(parts):
        return None
    return parts[0] if len(parts) == 1 else parts


def decode_private(raw: bytes, *, ge: bool) -> float | None:
    """A vendor's b-value: a decimal string, or a binary float where its representation is not known.

    GE adds 1e9 to the b-value and follows it with three other numbers.
    """
    try:
        number = _number(raw.split(b"\\")[0].decode("ascii").strip("\x00 "))
    except UnicodeDecodeError:
        number = None
    if number is None and len(raw) in (4, 8):
        number = _finite(struct.unpack("<f" if len(raw) == 4 else "<d", raw)[0])
    if number is None or number < 0:
        return None
    return number % 1e9 if ge else number


def _number(text: str) -> float | None:
    try:
        return _finite(float(text))
    except ValueError:
        return None


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
