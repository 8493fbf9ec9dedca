"""One accepted label with its images, de-identified, ready to be written."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from models.dicom import read_series
from models.errors import InvalidVolume
from models.volume import Volume
from services.context import Context
from services.datasets.deidentify.faces import Shear
from services.datasets.deidentify.folder import Report, deidentify, shear_of_series
from services.datasets.deidentify.header import identity_of
from services.datasets.deidentify.hold import Hold
from services.datasets.deidentify.inventory import UNREADABLE, may_show_head
from services.datasets.deidentify.pseudonyms import Pseudonyms
from services.ledger import analyses
from services.ledger.accepted import AcceptedLabel
from services.ledger.database import Connection
from services.review.masks import SAME_VOXELS, Grid, Mask, decode, grid_of
from services.review.tasks import Task

_DESCRIBED: Final = ("BodyPartExamined", "StudyDescription", "SeriesDescription", "ProtocolName")


@dataclass(frozen=True, eq=False)
class CaseImage:
    """A series as it leaves: voxels, where they lie, and the header of its first instance after de-identification."""

    role: str
    volume: Volume
    grid: Grid
    header: Dataset


@dataclass(frozen=True, eq=False)
class Case:
    """An accepted label of one study. `images[0]` is the series the mask lies on; `lots` draws the split."""

    label: AcceptedLabel
    participant: str
    session: str
    images: tuple[CaseImage, ...]
    mask: Mask
    lots: float


def read_case(
    context: Context,
    connection: Connection,
    label: AcceptedLabel,
    task: Task,
    pseudonyms: Pseudonyms,
    report: Report,
) -> Case:
    """Read and de-identify what belongs to a label.

    Raises:
        Hold: something of it cannot be read, does not fit, or must not leave.
    """
    roles = {task.grid: label.series_uid, **{r: uid for r, uid in label.inputs.items() if uid != label.series_uid}}
    series = {role: _read(context, connection, uid) for role, uid in roles.items()}
    identities = {identity_of(dataset) for datasets in series.values() for dataset in datasets}
    if len(identities) > 1:
        raise Hold("Its series name two patients.")
    identity = identities.pop()
    shears = _shears(series)
    images = []
    for role, datasets in series.items():
        for dataset in datasets:
            deidentify(dataset, pseudonyms, shears[role], report)
        images.append(_image(role, datasets))
    mask = _mask(context, label, task, images[0])
    return Case(
        label=label,
        participant=pseudonyms.patient(identity),
        session=pseudonyms.uid(label.study_uid)[-8:],
        images=tuple(images),
        mask=mask,
        lots=pseudonyms.share("split", identity),
    )


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


def _image(role: str, datasets: list[Dataset]) -> CaseImage:
    try:
        volume = read_series(datasets)
    except InvalidVolume as error:
        raise Hold(f"Its {role} series is no volume. {error}") from error
    return CaseImage(role, volume, grid_of(volume, datasets), datasets[0])


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
