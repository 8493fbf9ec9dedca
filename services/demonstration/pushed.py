"""The studies that are pushed: where their instances lie, and where each slice is in the patient."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from services.demonstration.phantom import PhantomStudy
from services.demonstration.plan import PlannedBleed
from services.errors import SettingsError

NOT_FAILED = "any end but failed"
_GEOMETRY = [
    "StudyInstanceUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
]


@dataclass(frozen=True)
class PushedInstance:
    """Place and grid of one instance; empty or zero where it has none.

    Attributes:
        position_mm: Image Position (Patient), LPS.
        orientation: Image Orientation (Patient), six direction cosines.
        spacing_mm: between rows, between columns.
    """

    frame_of_reference_uid: str
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    rows: int
    columns: int


@dataclass(frozen=True)
class PushedStudy:
    """One study of a demonstration.

    Attributes:
        directory: what is sent, all of it, in one association.
        expected: state it should end in, or NOT_FAILED.
        put_in: bleeds it is known to show; None when nobody knows.
        instances: by SOP Instance UID.
    """

    study_uid: str
    description: str
    directory: Path
    expected: str
    put_in: tuple[PlannedBleed, ...] | None
    instances: dict[str, PushedInstance] = field(repr=False)

    def reached(self, state: str) -> bool:
        if self.expected == NOT_FAILED:
            return state in ("analysed", "not_applicable", "parked")
        return state == self.expected


def pushed_phantom(phantom: PhantomStudy) -> PushedStudy:
    """A demonstration study, with what its slices' headers say."""
    instances = {ds.SOPInstanceUID: _instance(ds) for _, ds in _headers(phantom.directory, lambda _: None)}
    return PushedStudy(
        phantom.study_uid,
        phantom.description,
        phantom.directory,
        phantom.expected,
        None if phantom.expected == "not_applicable" else phantom.bleeds,
        instances,
    )


def own_studies(directory: Path, links: Path, progress: Callable[[int], None]) -> list[PushedStudy]:
    """The studies below `directory`, each gathered as links in a folder of its own below `links`.

    Args:
        progress: told how many instances have been read.

    Raises:
        SettingsError: there is no such folder, or no DICOM in it.
    """
    if not directory.is_dir():
        raise SettingsError(f"DICOM = {directory}: there is no such folder.")
    studies: dict[str, PushedStudy] = {}
    for path, ds in _headers(directory, progress):
        if ds.StudyInstanceUID not in studies:
            number = len(studies) + 1
            folder = links / f"{number:04d}"
            folder.mkdir(parents=True)
            studies[ds.StudyInstanceUID] = PushedStudy(
                ds.StudyInstanceUID, f"your study {number}", folder, NOT_FAILED, None, {}
            )
        study = studies[ds.StudyInstanceUID]
        (study.directory / f"{len(study.instances) + 1:06d}.dcm").symlink_to(path.resolve())
        study.instances[ds.SOPInstanceUID] = _instance(ds)
    if not studies:
        raise SettingsError(f"DICOM = {directory}: no DICOM instance was found in it.")
    return list(studies.values())


def _headers(directory: Path, progress: Callable[[int], None]) -> list[tuple[Path, Dataset]]:
    headers: list[tuple[Path, Dataset]] = []
    for path in sorted(directory.rglob("*")):
        if not path.is_file() or path.name == "DICOMDIR":
            continue
        try:
            ds = dcmread(path, stop_before_pixels=True, specific_tags=_GEOMETRY)
        except (InvalidDicomError, OSError):
            continue
        if "StudyInstanceUID" in ds and "SOPInstanceUID" in ds:
            headers.append((path, ds))
            progress(len(headers))
    return headers


def _instance(ds: Dataset) -> PushedInstance:
    return PushedInstance(
        frame_of_reference_uid=ds.get("FrameOfReferenceUID", ""),
        position_mm=_numbers(ds, "ImagePositionPatient"),
        orientation=_numbers(ds, "ImageOrientationPatient"),
        spacing_mm=_numbers(ds, "PixelSpacing"),
        rows=int(ds.get("Rows", 0)),
        columns=int(ds.get("Columns", 0)),
    )


def _numbers(ds: Dataset, keyword: str) -> tuple[float, ...]:
    return tuple(float(value) for value in ds.get(keyword) or ())
