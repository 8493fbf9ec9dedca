"""The shapes a release may have."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from services.datasets.release.bids import write_bids
from services.datasets.release.case import Case
from services.datasets.release.entry import Entry, Plan
from services.datasets.release.flat import write_decathlon, write_nnunet
from services.datasets.release.objects import write_objects
from services.errors import SettingsError

_NNUNET_FOLDER: Final = re.compile(r"Dataset\d{3}_\w+")


class Layout(StrEnum):
    """What `--layout` takes."""

    BIDS = "bids"
    DICOM = "dicom"
    NNUNET = "nnunet"
    DECATHLON = "decathlon"


@dataclass(frozen=True)
class Shape:
    """How a layout is written.

    Attributes:
        instances: it wants the DICOM objects themselves.
        mask_names, image_names: what its paths look like.
    """

    write: Callable[[Path, Sequence[Case], Plan], list[Entry]]
    image_names: re.Pattern[str]
    mask_names: re.Pattern[str]
    instances: bool = False


_P, _S = r"NJ[A-Z2-7]{10}", r"\d{8}"
_BELOW: Final = rf"sub-(?P<p>{_P})/ses-(?P<s>{_S})/\w+/sub-(?P=p)_ses-(?P=s)(_ce-\w+)?(_run-\d+)?"

SHAPES: Final = {
    Layout.BIDS: Shape(
        write_bids,
        re.compile(rf"{_BELOW}_[A-Za-z0-9]+\.nii\.gz"),
        re.compile(rf"derivatives/nightjar/{_BELOW}_space-orig_desc-accepted_dseg\.nii\.gz"),
    ),
    Layout.DICOM: Shape(
        write_objects,
        re.compile(rf"{_P}/{_S}/\w+(-\d+)?"),
        re.compile(rf"({_P}/{_S}/\w+(-\d+)?_accepted_seg\.dcm)?"),
        instances=True,
    ),
    Layout.NNUNET: Shape(
        write_nnunet,
        re.compile(rf"imagesT[rs]/{_P}_{_S}(_run-\d+)?_\d{{4}}\.nii\.gz"),
        re.compile(rf"labelsT[rs]/{_P}_{_S}(_run-\d+)?\.nii\.gz"),
    ),
    Layout.DECATHLON: Shape(
        write_decathlon,
        re.compile(rf"imagesT[rs]/{_P}_{_S}(_run-\d+)?\.nii\.gz"),
        re.compile(rf"labelsT[rs]/{_P}_{_S}(_run-\d+)?\.nii\.gz"),
    ),
}


def check_target(layout: Layout, target: Path) -> None:
    """Raises SettingsError where a layout's readers would not find a dataset of this folder's name."""
    if layout is Layout.NNUNET and not _NNUNET_FOLDER.fullmatch(target.name):
        raise SettingsError(
            f"nnU-Net knows a dataset by its folder: name --out DatasetNNN_NAME, as Dataset101_ich, not {target.name}."
        )
