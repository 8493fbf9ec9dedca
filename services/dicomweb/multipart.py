"""multipart/related bodies (RFC 2387), written and read part by part."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from services.dicomweb.media import MULTIPART

BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")


class InvalidBody(Exception):
    """The body is no multipart body, or a part is too large; the message is a sentence."""


@dataclass
class Part:
    """One part of a body that is being read; header names in lower case."""

    headers: dict[str, str] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)


def content_type(boundary: str, part_type: str) -> str:
    return f'{MULTIPART}; type="{part_type}"; boundary={boundary}'


def write_parts(boundary: str, parts: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """A body of parts, each its Content-Type and its bytes in pieces."""
    for part_type, pieces in parts:
        yield f"--{boundary}\r\nContent-Type: {part_type}\r\n\r\n".encode()
        yield from pieces
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


class PartReader:
    """Takes a body in pieces and gives the parts that are complete.

    Raises:
        InvalidBody: from `feed` and `finish`.
    """

    def __init__(self, boundary: str, largest_part_bytes: int) -> None:
        self._largest = largest_part_bytes
        self._complete: list[Part] = []
        self._part = Part()
        self._name, self._value = bytearray(), bytearray()
        self._ended = False
        self._parser = MultipartParser(
            boundary.encode("latin-1"),
            {
                "on_part_begin": self._begin,
                "on_part_data": self._on_data,
                "on_part_end": self._end,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_end": self._finish_body,
            },
        )

    def feed(self, piece: bytes) -> list[Part]:
        """The parts that this piece completed."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise InvalidBody("The body is not the multipart body that its Content-Type announces.") from error
        complete, self._complete = self._complete, []
        return complete

    def finish(self) -> None:
        """Say that the body has ended."""
        if not self._ended:
            raise InvalidBody("The body ends before its last boundary.")

    def _begin(self) -> None:
        self._part = Part()

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if len(self._part.data) + end - start > self._largest:
            raise InvalidBody(f"A part is larger than {self._largest >> 20} MiB.")
        self._part.data.extend(memoryview(data)[start:end])

    def _end(self) -> None:
        self._complete.append(self._part)

    def _end_header(self) -> None:
        self._part.headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1").strip()
        self._name, self._value = bytearray(), bytearray()

    def _finish_body(self) -> None:
        self._ended = True
