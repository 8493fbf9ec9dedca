"""What lies in a folder: objects by study, and what of them contradicts itself. Headers only."""

import hashlib
import logging
import re
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from services.datasets.deidentify.header import identity_of
from services.datasets.deidentify.words import fold, listed

_FACED: Final = frozenset({"CT", "MR", "PT"})
_DESCRIBED: Final = (
    "BodyPartExamined",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "RequestedProcedureDescription",
)
UNREADABLE: Final = (
    AttributeError,
    BytesLengthException,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One object's file. `frame` is its frame of reference, or its series where it names none."""

    path: Path
    identity: str
    study_uid: str
    series_uid: str
    instance_uid: str
    modality: str
    frame: str
    shows_head: bool
    digest: str


@dataclass
class Inventory:
    """Objects by study, in the order of their UIDs; what is held before it is opened; what is no DICOM."""

    studies: dict[str, list[Entry]]
    held: list[tuple[Path, str]]
    foreign: list[Path]
    doubles: int


def take_inventory(folder: Path, progress: Callable[[int], None] = lambda _: None) -> Inventory:
    """Read every header below a folder. Links are not followed out of it."""
    entries: list[Entry] = []
    held: list[tuple[Path, str]] = []
    foreign: list[Path] = []
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    for number, path in enumerate(files, 1):
        try:
            with path.open("rb") as file:
                start = file.read(132)
            if start[128:] != b"DICM":
                foreign.append(path)
                continue
            header = pydicom.dcmread(path, stop_before_pixels=True)
            entries.append(_entry(path, header))
        except InvalidDicomError:
            foreign.append(path)
        except UNREADABLE:
            held.append((path, "Its header is damaged."))
        progress(number)
    doubles = 0
    by_instance: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_instance[entry.instance_uid].append(entry)
    studies: dict[str, list[Entry]] = defaultdict(list)
    for _, same in sorted(by_instance.items()):
        if len({entry.digest for entry in same}) > 1:
            held += [(entry.path, "Another object has the same SOP Instance UID and other content.") for entry in same]
            continue
        doubles += len(same) - 1
        studies[same[0].study_uid].append(same[0])
    for study_uid, members in list(studies.items()):
        if len({entry.identity for entry in members}) > 1:
            held += [(entry.path, "Its study names two patients.") for entry in members]
            del studies[study_uid]
    return Inventory(dict(sorted(studies.items())), held, foreign, doubles)


def _entry(path: Path, header: Dataset) -> Entry:
    uids = [str(getattr(header, keyword)) for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
    if not all(uids) or not header.SOPClassUID:
        raise ValueError
    modality = str(header.get("Modality") or "")
    return Entry(
        path=path,
        identity=identity_of(header),
        study_uid=uids[0],
        series_uid=uids[1],
        instance_uid=uids[2],
        modality=modality,
        frame=str(header.get("FrameOfReferenceUID") or uids[1]),
        shows_head=modality in _FACED and may_show_head(str(header.get(keyword) or "") for keyword in _DESCRIBED),
        digest=_digest(path),
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def may_show_head(descriptions: Iterable[str]) -> bool:
    """Whether a CT, MR or PT image may show a head: unless its words name another part of the body alone."""
    words = {word for text in descriptions for word in re.findall(r"[a-z]+", fold(text))}
    return bool(words & set(listed("places.txt", "head"))) or not words & set(listed("places.txt", "elsewhere"))
