"""A folder of DICOM de-identified into another one, whole or not at all, with a report that counts every action."""

import csv
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

from models.dicom import read_series
from models.errors import InvalidVolume
from services.datasets.aside import new_folder, refuse_existing
from services.datasets.deidentify.faces import Shear, find_shear, geometry_of, remove_face
from services.datasets.deidentify.header import Counts, Subject, clean_header, identity_of
from services.datasets.deidentify.hold import Hold
from services.datasets.deidentify.inventory import UNREADABLE, Entry, Inventory, take_inventory
from services.datasets.deidentify.pixels import clean_pixels, hold_pages
from services.datasets.deidentify.pseudonyms import Pseudonyms
from services.datasets.deidentify.table import EDITION
from services.errors import Reject, SettingsError

METHODS: Final = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113102": "Clean Recognizable Visual Features Option",
    "113105": "Clean Descriptors Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113111": "Retain Safe Private Option",
}
"""CID 7050 De-identification Method."""

_ALWAYS: Final = ("113100", "113101", "113105", "113107", "113111")
_FACE: Final = "113102"
_SEGMENTATION: Final = "SEG"
_SMALLEST_STACK: Final = 8

logger = logging.getLogger(__name__)


@dataclass
class Report:
    """What was done. `held` and `foreign` name files of the hospital and stay there; the rest may travel."""

    objects: int = 0
    patients: set[str] = field(default_factory=set)
    studies: int = 0
    actions: Counts = field(default_factory=Counter)
    texts_blanked: int = 0
    objects_with_text: int = 0
    ultrasound_surrounds: int = 0
    faces_removed: int = 0
    held: list[tuple[Path, str]] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
    doubles: int = 0
    key: str = ""

    def add(self, other: "Report") -> None:
        """Count what was done elsewhere as well; its lists of files stay where they are."""
        self.objects += other.objects
        self.patients |= other.patients
        self.studies += other.studies
        self.actions.update(other.actions)
        self.texts_blanked += other.texts_blanked
        self.objects_with_text += other.objects_with_text
        self.ultrasound_surrounds += other.ultrasound_surrounds
        self.faces_removed += other.faces_removed

    def as_dict(self) -> dict[str, Any]:
        """What may travel with the objects: no path, no name."""
        by_action: Counter[str] = Counter()
        by_attribute: dict[str, dict[str, int]] = defaultdict(dict)
        for (keyword, action), count in sorted(self.actions.items()):
            by_action[action] += count
            by_attribute[keyword][action] = count
        return {
            "profile": f"PS3.15 {EDITION} Table E.1-1: {'; '.join(METHODS[code] for code in _ALWAYS)}",
            "key_fingerprint": self.key,
            "objects": self.objects,
            "patients": len(self.patients),
            "studies": self.studies,
            "held": dict(sorted(Counter(reason for _, reason in self.held).items())),
            "not_dicom": len(self.foreign),
            "same_object_twice": self.doubles,
            "pixels": {
                "objects_with_text_blanked": self.objects_with_text,
                "rectangles_blanked": self.texts_blanked,
                "blanked_around_ultrasound": self.ultrasound_surrounds,
                "faces_removed": self.faces_removed,
            },
            "actions": dict(sorted(by_action.items())),
            "attributes": dict(by_attribute),
        }


def deidentify_folder(
    source: Path,
    target: Path,
    pseudonyms: Pseudonyms,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> Report:
    """De-identify every object below `source` into the new folder `target`.

    Files are named after their new UIDs. Until all are written they lie in a folder beside `target`, so an interrupted
    run leaves nothing there that looks released. `target` also gets report.json; the list of held files, whose
    names may be patients', goes beside it as TARGET.held.csv.

    Raises:
        SettingsError: `target` exists, or lies inside `source`.
        Reject: nothing could be written, or nothing was left to write.
    """
    refuse_existing(target)
    if target.resolve().is_relative_to(source.resolve()):
        raise SettingsError(f"{target} lies inside {source}. Name a folder outside it.")
    inventory = take_inventory(source)
    report = Report(
        held=list(inventory.held), foreign=inventory.foreign, doubles=inventory.doubles, key=pseudonyms.fingerprint
    )
    with new_folder(target) as aside:
        _write_all(inventory, aside, pseudonyms, report, progress)
        if report.held:
            _write_held(target.with_name(f"{target.name}.held.csv"), source, report.held)
        if not report.objects:
            raise Reject(f"Nothing was left to write: {len(report.held)} held, {len(report.foreign)} files not DICOM.")
        (aside / "report.json").write_text(json.dumps(report.as_dict(), indent=2) + "\n", encoding="utf-8")
    return report


def _write_all(
    inventory: Inventory,
    aside: Path,
    pseudonyms: Pseudonyms,
    report: Report,
    progress: Callable[[int, int], None],
) -> None:
    total, done = sum(len(entries) for entries in inventory.studies.values()), 0
    for entries in inventory.studies.values():
        shears = _shears(entries)
        before = report.objects
        for entry in entries:
            try:
                _write(entry, shears.get(entry.frame), aside, pseudonyms, report)
            except Hold as hold:
                report.held.append((entry.path, str(hold)))
            done += 1
            progress(done, total)
        report.studies += report.objects > before


def deidentify(dataset: Dataset, pseudonyms: Pseudonyms, shear: Shear | Hold | None, report: Report) -> Dataset:
    """One object, in place, with new file meta information.

    Args:
        shear: the planes of its face; None where it shows none; a Hold where they could not be found.

    Raises:
        Hold: it must not leave.
    """
    hold_pages(dataset)
    if isinstance(shear, Hold):
        raise shear
    looked = clean_pixels(dataset)
    faced = shear is not None and _cut(dataset, shear)
    identity = Subject.of(identity_of(dataset), pseudonyms)
    counts = clean_header(dataset, identity)
    _declare(dataset, faced=faced)
    dataset.file_meta = _meta(dataset)
    dataset.preamble = b"\0" * 128
    report.actions.update(counts)
    report.patients.add(identity.name)
    report.objects += 1
    report.texts_blanked += looked.boxes
    report.objects_with_text += bool(looked.boxes)
    report.ultrasound_surrounds += looked.outside
    report.faces_removed += faced
    return dataset


def _write(entry: Entry, shear: Shear | Hold | None, aside: Path, pseudonyms: Pseudonyms, report: Report) -> None:
    try:
        dataset = pydicom.dcmread(entry.path)
        dataset.walk(lambda _, element: element.value)  # every element decoded, or refused here
        cleaned = deidentify(dataset, pseudonyms, shear if entry.shows_head else None, report)
    except Hold:
        raise
    except UNREADABLE as error:
        raise Hold(f"It cannot be read to its end ({type(error).__name__}).") from error
    path = aside / str(cleaned.PatientID) / str(cleaned.StudyInstanceUID) / str(cleaned.SeriesInstanceUID)
    path.mkdir(parents=True, exist_ok=True)
    cleaned.save_as(path / f"{cleaned.SOPInstanceUID}.dcm", enforce_file_format=True)


def _cut(dataset: Dataset, shear: Shear) -> bool:
    """Overwrite the face; whether any pixel was one."""
    if dataset.get("Modality") == _SEGMENTATION:
        return False
    shape = (int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns))
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise Hold("It shows a head in colours: its face is not removed here.")
    kind = np.dtype(f"<{'i' if dataset.PixelRepresentation else 'u'}{int(dataset.BitsAllocated) // 8}")
    pixels = np.frombuffer(dataset.PixelData, kind, int(np.prod(shape))).reshape(shape).copy()
    changed = remove_face(dataset, pixels, shear)
    if changed:
        dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    return True


def _declare(dataset: Dataset, *, faced: bool) -> None:
    """Say in the object what was done to it (PS3.15 E.1.1, PS3.3 C.7.1.1, C.12.1)."""
    codes = sorted((*_ALWAYS, *((_FACE,) if faced else ())))
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Nightjar: PS3.15 Basic Profile with options"
    items = []
    for code in codes:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", METHODS[code]
        items.append(item)
    dataset.DeidentificationMethodCodeSequence = Items(items)
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"
    dataset.BurnedInAnnotation = "NO"
    if faced:
        dataset.RecognizableVisualFeatures = "NO"


def _meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _shears(entries: list[Entry]) -> dict[str, Shear | Hold]:
    """The planes of each frame of reference that may show a head, from the series in it that shows it best."""
    found: dict[str, Shear | Hold] = {}
    frames: dict[str, dict[str, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        if entry.shows_head:
            frames[entry.frame][entry.series_uid].append(entry)
    for frame, series in frames.items():
        reason: Hold = Hold("It shows a head, and no volume of it from which the face could be found.")
        for members in sorted(series.values(), key=lambda one: (one[0].modality != "CT", -len(one), one[0].series_uid)):
            if members[0].modality not in ("CT", "MR"):
                continue
            try:
                found[frame] = _shear_of(members)
                break
            except Hold as hold:
                reason = Hold(f"It may show a face that could not be removed. {hold}")
            except (InvalidVolume, *UNREADABLE):
                continue
        found.setdefault(frame, reason)
    return found


def _shear_of(members: list[Entry]) -> Shear:
    return shear_of_series([pydicom.dcmread(entry.path) for entry in members], members[0].modality)


def shear_of_series(datasets: Sequence[Dataset], modality: str) -> Shear:
    """The planes of a series, from one image a place.

    Raises:
        Hold: no brain in it, or its face cannot be told from it.
        InvalidVolume: it is no volume of eight slices and more.
    """
    images = [dataset for dataset in datasets if "PixelData" in dataset]
    if len(images) > 1:
        places: dict[tuple[float, ...], Dataset] = {}
        for dataset in images:
            places.setdefault(tuple(np.round(geometry_of(dataset, 0)[0], 1)), dataset)
        images = [*places.values()]
    frames = sum(int(dataset.get("NumberOfFrames") or 1) for dataset in images)
    if frames < _SMALLEST_STACK:
        raise InvalidVolume(f"{frames} slices are too few to find a brain in.")
    return find_shear(read_series(images), modality)


def _write_held(path: Path, source: Path, held: list[tuple[Path, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "reason"])
        writer.writerows(sorted((str(entry.relative_to(source)), reason) for entry, reason in held))
