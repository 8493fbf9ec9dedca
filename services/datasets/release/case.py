"""One accepted label with its images, de-identified, ready to be written."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from models.dicom import read_series
from models.errors import InvalidVolume
from models.mosaic import unfold
from models.volume import Volume
from services.context import Context
from services.datasets.deidentify.faces import Shear
from services.datasets.deidentify.folder import Report, deidentify, shear_of_series
from services.datasets.deidentify.header import identity_of
from services.datasets.deidentify.hold import Hold
from services.datasets.deidentify.inventory import UNREADABLE, may_show_head
from services.datasets.deidentify.pseudonyms import Pseudonyms
from services.datasets.release.consent import why_headers_refuse, why_not_released
from services.ledger import analyses, consent
from services.ledger.accepted import AcceptedLabel
from services.ledger.database import Connection
from services.review.masks import SAME_VOXELS, Grid, Mask, decode, grid_of
from services.review.tasks import Task

_IDENTIFYING: Final = (
    "PatientID",
    "PatientName",
    "AccessionNumber",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
)
_SHORTEST_SECRET: Final = 5
_DESCRIBED: Final = ("BodyPartExamined", "StudyDescription", "SeriesDescription", "ProtocolName")


@dataclass(frozen=True, eq=False)
class CaseImage:
    """A series as it leaves: voxels, where they lie, and the header of its first slice after de-identification.

    Attributes:
        instances: its de-identified objects; files once they were put aside.
    """

    role: str
    volume: Volume
    grid: Grid
    header: Dataset
    instances: tuple[Dataset | Path, ...] = ()


@dataclass(frozen=True, eq=False)
class Case:
    """An accepted label of one study.

    Attributes:
        images: the first is the series the mask lies on.
        lots: draws the split.
        report: what de-identification did to it.
        secrets: what names the patient at the hospital, and must be found in nothing that leaves.
    """

    label: AcceptedLabel
    participant: str
    session: str
    images: tuple[CaseImage, ...]
    mask: Mask
    lots: float
    report: Report = field(default_factory=Report)
    secrets: frozenset[str] = frozenset()

    def put_aside(self, folder: Path, *, instances: bool) -> "Case":
        """The same case with its voxels in files of `folder`, read as they are needed, and maybe its objects.

        So a release takes the memory of one case, however many there are.
        """
        folder.mkdir(parents=True)
        images = []
        for number, image in enumerate(self.images):
            kept = []
            for index, dataset in enumerate(image.instances if instances else ()):
                if isinstance(dataset, Dataset):
                    kept.append(folder / f"{number}-{index:05d}.dcm")
                    dataset.save_as(kept[-1], enforce_file_format=True)
            voxels = _mapped(folder / f"{number}.npy", image.volume.voxels)
            header = Dataset({element.tag: element for element in image.header if element.keyword != "PixelData"})
            volume = replace(image.volume, voxels=voxels)
            images.append(replace(image, volume=volume, header=header, instances=tuple(kept)))
        mask = replace(self.mask, labels=_mapped(folder / "mask.npy", self.mask.labels))
        return replace(self, images=tuple(images), mask=mask)


def read_case(
    context: Context, connection: Connection, label: AcceptedLabel, task: Task, pseudonyms: Pseudonyms
) -> Case:
    """Read and de-identify what belongs to a label.

    Raises:
        Hold: nobody consented, or something of it cannot be read, does not fit, or must not leave.
    """
    standing = consent.of_study(connection, label.study_uid)
    if (refusal := why_not_released(standing)) is not None:
        raise Hold(refusal)
    roles = {task.grid: label.series_uid, **{r: uid for r, uid in label.inputs.items() if uid != label.series_uid}}
    series = {role: _unfolded(role, _read(context, connection, uid)) for role, uid in roles.items()}
    every = [dataset for datasets in series.values() for dataset in datasets]
    if (refusal := why_headers_refuse(every, standing)) is not None:
        raise Hold(refusal)
    identities = {identity_of(dataset) for dataset in every}
    if len(identities) > 1:
        raise Hold("Its series name two patients.")
    identity = identities.pop()
    secrets = _secrets(every)
    shears = _shears(series)
    report = Report(key=pseudonyms.fingerprint)
    images = []
    for role, datasets in series.items():
        for dataset in datasets:
            deidentify(dataset, pseudonyms, shears[role], report)
        images.append(image_of(role, datasets))
    mask = _mask(context, label, task, images[0])
    if any(not context.store.holds(each.mask_digest) for each in label.hand_ins):
        raise Hold("The bytes of a mask that was handed in on the way are no longer in the store.")
    return Case(
        label=label,
        participant=pseudonyms.patient(identity),
        session=pseudonyms.uid(label.study_uid)[-8:],
        images=tuple(images),
        mask=mask,
        lots=pseudonyms.share("split", identity),
        report=report,
        secrets=secrets,
    )


def _mapped(path: Path, array: NDArray[Any]) -> NDArray[Any]:
    buffer = BytesIO()  # NumPy's own writing to a full disk does not say that it is full
    np.save(buffer, array)
    path.write_bytes(buffer.getbuffer())
    mapped: NDArray[Any] = np.load(path, mmap_mode="r")
    return mapped


def _secrets(datasets: list[Dataset]) -> frozenset[str]:
    """Names, numbers and UIDs of the patient and the study, those long enough to be told from other words."""
    found = {str(dataset.get(keyword) or "").strip() for dataset in datasets for keyword in _IDENTIFYING}
    return frozenset(text for text in found if len(text) >= _SHORTEST_SECRET)


def _read(context: Context, connection: Connection, series_uid: str) -> list[Dataset]:
    keys = analyses.instance_keys(connection, series_uid)
    try:
        datasets: list[Dataset] = [pydicom.dcmread(BytesIO(context.store.get(key))) for key in sorted(keys)]
        for dataset in datasets:
            dataset.walk(lambda _, element: element.value)
    except KeyError:
        raise Hold("The bytes of one of its instances are no longer in the store.") from None
    except UNREADABLE as error:
        raise Hold("One of its instances is damaged.") from error
    if not datasets:
        raise Hold("One of its series has no instance.")
    return datasets


def _unfolded(role: str, datasets: list[Dataset]) -> list[Dataset]:
    """Slices for mosaics: without private attributes, which go, nobody could find them."""
    try:
        return [one for dataset in datasets for one in unfold(dataset)]
    except (InvalidVolume, *UNREADABLE) as error:
        raise Hold(f"Its {role} series is a mosaic that cannot be taken apart.") from error


def _shears(series: Mapping[str, list[Dataset]]) -> dict[str, Shear | Hold | None]:
    """The planes of each series that may show a head: its own, or those of another one in its frame of reference."""
    found: dict[str, Shear | Hold | None] = {}
    by_frame: dict[str, Shear] = {}
    for role, datasets in series.items():
        first = datasets[0]
        if not may_show_head(str(first.get(keyword) or "") for keyword in _DESCRIBED):
            found[role] = None
            continue
        try:
            found[role] = shear = shear_of_series(datasets, str(first.get("Modality")))
            by_frame.setdefault(str(first.get("FrameOfReferenceUID") or role), shear)
        except Hold as hold:
            found[role] = Hold(f"It may show a face that could not be removed. {hold}")
        except (InvalidVolume, *UNREADABLE) as error:
            found[role] = Hold(f"It may show a face, and no volume could be read. {error}")
    for role, datasets in series.items():
        if isinstance(found[role], Hold):
            found[role] = by_frame.get(str(datasets[0].get("FrameOfReferenceUID") or role), found[role])
    return found


def image_of(role: str, datasets: list[Dataset]) -> CaseImage:
    """The volume of a series. Raises Hold where it is none."""
    try:
        volume = read_series(datasets)
    except InvalidVolume as error:
        raise Hold(f"Its {role} series is no volume. {error}") from error
    # A series may hold others beside the volume, such as the unweighted images of a diffusion series.
    header = next((dataset for dataset in datasets if dataset.SOPInstanceUID == volume.sources[0]), datasets[0])
    return CaseImage(role, volume, grid_of(volume, datasets), header, tuple(datasets))


def _mask(context: Context, label: AcceptedLabel, task: Task, image: CaseImage) -> Mask:
    """The mask, which must lie on the image's grid and hold the task's labels alone."""
    try:
        mask = decode(context.store.get(label.mask_digest))
    except (KeyError, ValueError):
        raise Hold("The bytes of its mask are no longer in the store, or damaged.") from None
    grid = image.grid
    reach = SAME_VOXELS * min(grid.spacing_mm)
    if mask.grid.shape != grid.shape or np.abs(mask.grid.positions_mm - grid.positions_mm).max() > reach:
        raise Hold("Its mask does not lie on the grid of its images: they changed after it was drawn.")
    strange = sorted({int(value) for value in np.unique(mask.labels)} - {0, *(entry.value for entry in task.labels)})
    if strange:
        raise Hold(f"Its mask holds the labels {', '.join(map(str, strange))}, which the task does not have.")
    return Mask(mask.labels, grid)
