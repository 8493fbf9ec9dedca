"""What a layout wrote of a case, and small files as every layout writes them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from services.datasets.deidentify.pseudonyms import Pseudonyms
from services.datasets.release.case import Case
from services.review.tasks import Task

SPLITS: Final = (("train", 0.7), ("validation", 0.15), ("test", 0.15))


@dataclass(frozen=True)
class Entry:
    """A case as it lies in the release; paths from its root.

    Attributes:
        images: by role: a NIfTI, or a folder of DICOM.
        mask: a NIfTI, or a DICOM Segmentation.
        provenance: JSON with where the mask comes from.
    """

    participant: str
    session: str
    split: str
    images: Mapping[str, str]
    mask: str
    provenance: str


@dataclass(frozen=True)
class Plan:
    """What is released, and under which name.

    Attributes:
        number: of the task's releases, from 1.
        on: day of the release.
    """

    task: Task
    name: str
    number: int
    on: date
    layout: str
    pseudonyms: Pseudonyms

    @property
    def title(self) -> str:
        return f"{self.name}, release {self.number}"


def split_of(lots: float) -> str:
    """The split of a patient by their lots: the same in every release, whoever else is in it."""
    below = 0.0
    for name, share in SPLITS:
        below += share
        if lots < below:
            return name
    return SPLITS[-1][0]


def numbered(cases: Iterable[Case], pseudonyms: Pseudonyms) -> list[tuple[Case, str]]:
    """Cases in the order of their names, each with what tells it from others of its study (`_run-N` or nothing)."""
    by_name: dict[tuple[str, str], list[Case]] = {}
    for case in sorted(cases, key=lambda case: pseudonyms.uid(case.label.series_uid)):
        by_name.setdefault((case.participant, case.session), []).append(case)
    return [
        (case, f"_run-{number}" if len(members) > 1 else "")
        for _, members in sorted(by_name.items())
        for number, case in enumerate(members, 1)
    ]


def tsv(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in (header, *rows))


def write_json(path: Path, content: Mapping[str, Any] | list[Any]) -> None:
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> str:
    """The SHA-256 of what was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
