"""The studies a simulated hospital makes: the demonstration's, each time as another patient's with UIDs of its own."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.demonstration.header import IMPLEMENTATION_CLASS_UID
from services.demonstration.phantom import PhantomStudy, write_phantoms

_UID = re.compile(rb"2\.25\.\d+")
_PATIENT_ID = re.compile(rb"PHANTOM-\d\d-\d{4}")
_ACCESSION_NUMBER = re.compile(rb"PH\d{7}(?!\d)")
_STUDY_DATE = re.compile(rb"20260118")
_PRIOR_DATE = b"20240605"


@dataclass(frozen=True)
class Kind:
    """One line of a hospital's study mix.

    Attributes:
        name: of the demonstration study it looks like.
        share: of all studies.
        modality: of the scanners that make it.
        model: whose answer its reader waits for; "" where no model is meant for it.
    """

    name: str
    share: float
    modality: str
    model: str


MIX: tuple[Kind, ...] = (
    Kind("none-1", 0.50, "CT", "ich"),
    Kind("iph-ivh", 0.10, "CT", "ich"),
    Kind("abdomen", 0.20, "CT", ""),
    Kind("missing-slices", 0.02, "CT", ""),
    Kind("stroke", 0.09, "MR", "ais"),
    Kind("short-protocol", 0.06, "MR", "enhance"),
    Kind("tumour", 0.03, "MR", "tumour"),
)
"""What an emergency department's CT and MR forward: heads above all, some of everything else, for every model."""


@dataclass(frozen=True)
class Study:
    """One study as a scanner holds it: Part 10 files by series, with the UIDs that were given to it."""

    kind: Kind
    study_uid: str
    expected: str
    series: tuple[tuple[bytes, ...], ...]

    @property
    def instances(self) -> int:
        return sum(map(len, self.series))


@dataclass(frozen=True)
class _File:
    data: bytes
    uids: tuple[tuple[int, bytes], ...]


class Template:
    """A study on disk, written anew for as many patients as are wanted.

    Values are replaced by others of the same length, so that nothing is decoded or encoded: a busy simulator would
    otherwise measure itself.
    """

    def __init__(self, kind: Kind, phantom: PhantomStudy) -> None:
        self.kind, self._expected, self._study_uid = kind, phantom.expected, phantom.study_uid
        folders = sorted(path for path in phantom.directory.iterdir() if path.is_dir())
        self._series = [[_read(path) for path in sorted(folder.iterdir())] for folder in folders]

    def study(self, number: int, *, patient: int | None = None, prior: bool = False) -> Study:
        """The study of patient `patient` (`number` unless given); each number has UIDs of its own."""
        patient = number if patient is None else patient
        identifiers = (
            (_PATIENT_ID, b"LOAD-%010d" % (patient % 10**10)),
            (_ACCESSION_NUMBER, b"LT%07d" % (number % 10**7)),
        )

        def renewed(file: _File) -> bytes:
            data = bytearray(file.data)
            for offset, uid in file.uids:
                data[offset : offset + len(uid)] = _renew(uid, number)
            whole = bytes(data)
            for pattern, value in identifiers:
                whole = pattern.sub(value, whole)
            return _STUDY_DATE.sub(_PRIOR_DATE, whole) if prior else whole

        series = tuple(tuple(renewed(file) for file in files) for files in self._series)
        return Study(self.kind, _renew(self._study_uid.encode(), number).decode(), self._expected, series)


def write_templates(directory: Path, mix: Sequence[Kind], *, matrix: int = 512) -> dict[str, Template]:
    """The demonstration studies of a mix, by name."""
    kinds = {kind.name: kind for kind in mix}
    phantoms = write_phantoms(directory, only=list(kinds), matrix=matrix)
    return {phantom.name: Template(kinds[phantom.name], phantom) for phantom in phantoms}


def _read(path: Path) -> _File:
    data = path.read_bytes()
    return _File(data, tuple(_uids(data)))


def _uids(data: bytes) -> Iterator[tuple[int, bytes]]:
    for match in _UID.finditer(data):
        if match[0].decode() != IMPLEMENTATION_CLASS_UID:
            yield match.start(), match[0]


def _renew(uid: bytes, number: int) -> bytes:
    """Another UID of the same length, the same for the same two."""
    digits = str(int.from_bytes(hashlib.sha256(b"%d/%s" % (number, uid)).digest()))
    return b"2.25.1" + digits[: len(uid) - 6].encode()
