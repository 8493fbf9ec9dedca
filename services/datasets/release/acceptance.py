"""Acceptance before release: what was written, read back and held against what it should be."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
import pydicom
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from models.dicom import read_series
from models.errors import InvalidVolume
from services.datasets.deidentify.inventory import UNREADABLE
from services.datasets.release.entry import Entry
from services.datasets.release.layouts import SHAPES, Layout
from services.datasets.release.validator import bids_problems
from services.review.mask_seg import read_segmentation
from services.review.masks import InvalidMask, grid_of

SAME_PLACE_MM: Final = 1e-3
_SHOWN: Final = 10
_TOLD: Final = (
    *("ImageDigests", "MaskDigest", "Draft", "AcceptedUnchanged", "Tool", "Rounds", "HandedIn", "People"),
    *("AcceptedBy", "Agreement", "ImageQuality"),
)
_HEADER: Final = ("Modality", "DeidentificationMethodCodeSequence")
_UID: Final = re.compile(r"\d+(?:\.\d+){3,}")
_TEXTS: Final = (".json", ".tsv", ".md", ".html", "")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what, in a sentence with counts, and what is wrong with it."""

    name: str
    what: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Read:
    """A written case, read: a digest of each image's voxels by role, what does not fit, and its provenance."""

    entry: Entry
    digests: Mapping[str, str]
    problems: tuple[str, ...]
    told: Mapping[str, Any]


def accept(
    folder: Path,
    entries: Sequence[Entry],
    layout: Layout,
    labels: Mapping[int, str],
    *,
    accepted: int,
    held: int,
    secrets: Collection[str] = (),
) -> list[Check]:
    """Every check, in the order in which a reader asks.

    Args:
        labels: the task's, by value, as the layout writes them.
        accepted, held: workitems accepted, and held back with a reason.
        secrets: what names the patients at the hospital.
    """
    read = [_read(folder, entry, labels) for entry in entries]
    checks = [
        Check(
            "Completeness",
            f"{accepted} accepted labels are {len(entries)} cases and {held} held; every case has its images, its "
            "mask, and of each round who handed in what.",
            (*_count(accepted, len(entries), held), *_rounds(read)),
        ),
        Check(
            "Format",
            "Each mask lies on its image's grid and holds the task's labels as uint8; each image holds finite values.",
            tuple(problem for each in read for problem in each.problems),
        ),
        Check(
            "Metadata",
            "Each image says how it was acquired and de-identified, each mask where it comes from, by digest.",
            tuple(_metadata(folder, read, layout)),
        ),
        Check("File names", "Patient, study, sequence and content are in the names.", tuple(_names(entries, layout))),
        Check("Duplicates", f"{sum(len(e.digests) for e in read)} images, none of them twice.", tuple(_doubles(read))),
        Check(
            "Leakage",
            f"{len({entry.participant for entry in entries})} patients, each in one split; no image in two.",
            tuple(_leaks(read)),
        ),
    ]
    if secrets:
        checks.append(
            Check(
                "Identifiers",
                f"{len(secrets)} names, numbers and UIDs of the hospital, in no text and no file name.",
                tuple(_identifiers(folder, secrets)),
            )
        )
    if layout is Layout.BIDS:
        checks.append(Check("BIDS", "The official validator refuses nothing.", tuple(bids_problems(folder))))
    return checks


def told_of(checks: Sequence[Check]) -> str:
    """What is wrong, for an error; empty when nothing is."""
    wrong = [f"{check.name}: {problem}" for check in checks for problem in check.problems]
    more = f" And {len(wrong) - _SHOWN} more." if len(wrong) > _SHOWN else ""
    return " ".join(wrong[:_SHOWN]) + more


def _read(folder: Path, entry: Entry, labels: Mapping[int, str]) -> _Read:
    problems: list[str] = []
    digests: dict[str, str] = {}
    told: Mapping[str, Any] = {}
    try:
        told = json.loads((folder / entry.provenance).read_text(encoding="utf-8"))
        if next(iter(entry.images.values())).endswith(".nii.gz"):
            _read_nifti(folder, entry, labels, digests, problems)
        else:
            _read_objects(folder, entry, digests, problems)
    except (InvalidVolume, InvalidMask) as error:
        problems.append(f"{entry.mask or entry.provenance}: {error}")
    except (ImageFileError, HeaderDataError, WrapStructError, *UNREADABLE) as error:
        problems.append(f"{entry.mask or entry.provenance}: the case cannot be read back ({type(error).__name__}).")
    return _Read(entry, digests, tuple(problems), told)


def _read_nifti(
    folder: Path, entry: Entry, labels: Mapping[int, str], digests: dict[str, str], problems: list[str]
) -> None:
    mask = nib.nifti1.load(folder / entry.mask)
    values = np.asanyarray(mask.dataobj)
    if values.dtype != np.uint8:
        problems.append(f"{entry.mask} holds {values.dtype}, not uint8.")
    if strange := sorted({int(value) for value in np.unique(values)} - {0, *labels}):
        problems.append(f"{entry.mask} holds the labels {', '.join(map(str, strange))}, which the task does not have.")
    for number, (role, path) in enumerate(entry.images.items()):
        image = nib.nifti1.load(folder / path)
        voxels = np.asanyarray(image.dataobj)
        if voxels.ndim == 4:
            voxels = voxels[..., number]
        if not np.isfinite(voxels).all():
            problems.append(f"{path} holds values that are no numbers.")
        digests[role] = _digest(voxels)
        if number == 0 and not (
            voxels.shape == values.shape and np.allclose(image.affine, mask.affine, rtol=0, atol=SAME_PLACE_MM)
        ):
            problems.append(f"{entry.mask} does not lie on the grid of {path}.")


def _read_objects(folder: Path, entry: Entry, digests: dict[str, str], problems: list[str]) -> None:
    for number, (role, path) in enumerate(entry.images.items()):
        datasets = [pydicom.dcmread(file) for file in sorted((folder / path).glob("*.dcm"))]
        volume = read_series(datasets)
        digests[role] = _digest(volume.voxels)
        if {str(dataset.PatientID) for dataset in datasets} != {entry.participant}:
            problems.append(f"{path} is of another patient than its folder says.")
        if number == 0 and entry.mask:
            study = str(datasets[0].StudyInstanceUID)
            read_segmentation((folder / entry.mask).read_bytes(), grid_of(volume, datasets), study_uid=study)


def _digest(voxels: NDArray[Any]) -> str:
    return hashlib.sha256(str(voxels.shape).encode() + np.ascontiguousarray(voxels).tobytes()).hexdigest()


def _count(accepted: int, released: int, held: int) -> Iterator[str]:
    if accepted != released + held:
        yield f"{accepted} labels were accepted, {released} are here and {held} were held."


def _rounds(read: Sequence[_Read]) -> Iterator[str]:
    """The accepted mask was handed in, in the last of the rounds."""
    for each in read:
        made = each.told.get("Provenance", {})
        last = {one["MaskDigest"] for one in made.get("HandedIn", ()) if one["Round"] == made.get("Rounds")}
        if made.get("MaskDigest") not in last:
            yield f"{each.entry.provenance}: its mask is none that was handed in in its last round."


def _metadata(folder: Path, read: Sequence[_Read], layout: Layout) -> Iterator[str]:
    for each in read:
        place, made = each.entry.provenance, each.told.get("Provenance", {})
        if lacking := [name for name in _TOLD if name not in made]:
            yield f"{place} lacks {', '.join(lacking)}."
        for path, digest in made.get("ImageDigests", {}).items():
            if not (folder / path).is_file() or hashlib.sha256((folder / path).read_bytes()).hexdigest() != digest:
                yield f"{place}: {path} is not the image it names."
        for role, path in each.entry.images.items():
            if layout is Layout.BIDS:
                text = (folder / path).with_suffix("").with_suffix(".json").read_text(encoding="utf-8")
                header = json.loads(text)
            else:
                header = each.told.get("Images", {}).get(role, {})
            if lacking := [name for name in _HEADER if not header.get(name)]:
                yield f"{path}: nothing says its {', '.join(lacking)}."


def _names(entries: Sequence[Entry], layout: Layout) -> Iterator[str]:
    shape = SHAPES[layout]
    for entry in entries:
        for path, pattern in [
            *((path, shape.image_names) for path in entry.images.values()),
            (entry.mask, shape.mask_names),
        ]:
            if not pattern.fullmatch(path) or (path and entry.participant not in path):
                yield f"{path} does not name patient, study, sequence and content."
    masks = [entry.mask for entry in entries if entry.mask]
    if len(set(masks)) != len(masks):
        yield "Two cases have the same mask."


def _doubles(read: Sequence[_Read]) -> Iterator[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for each in read:
        for role, digest in each.digests.items():
            places[digest].append(f"{each.entry.images[role]} ({role})")
    yield from (f"The same image stands at {' and '.join(same)}." for same in places.values() if len(same) > 1)


def _leaks(read: Sequence[_Read]) -> Iterator[str]:
    splits: dict[str, set[str]] = defaultdict(set)
    for each in read:
        splits[each.entry.participant].add(each.entry.split)
        for digest in each.digests.values():
            splits[digest].add(each.entry.split)
    for name, found in splits.items():
        if len(found) > 1:
            what = f"The patient {name}" if name.startswith("NJ") else "An image"
            yield f"{what} is in the splits {' and '.join(sorted(found))}."


def _identifiers(folder: Path, secrets: Collection[str]) -> Iterator[str]:
    """Files that hold or are called one; what they hold is not said."""
    uids = {secret for secret in secrets if _UID.fullmatch(secret)}
    words = "|".join(rf"(?<![^\W_]){re.escape(secret)}(?![^\W_])" for secret in sorted(set(secrets) - uids))
    known = re.compile(words or "(?!)")
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() and path.suffix in _TEXTS else ""
        if known.search(f"{name}\n{text}") or uids.intersection(_UID.findall(f"{name}\n{text}")):
            yield f"{name} holds or is called something that names a patient at the hospital."
