"""Private attributes that are safe (PS3.15 Table E.3.10-1): measures of the acquisition. Every other one goes.

private.csv names them by creator, group and element (xx: the block). Only numbers are on it: the table's texts
say little and can hold anything.
"""

import csv
from functools import cache
from importlib import resources

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset


@cache
def _safe() -> dict[tuple[str, str], str]:
    text = resources.files(__package__).joinpath("private.csv").read_text(encoding="ascii")
    return {(row["creator"], row["element"]): row["vr"] for row in csv.DictReader(text.splitlines())}


def safe_vr(dataset: Dataset, element: DataElement) -> str | None:
    """The VR of a private element that may stay; None for one that may not, or that holds something else."""
    tag = element.tag
    if tag.is_private_creator or not tag.element & 0xFF00:
        return None
    creator = dataset.get((tag.group, tag.element >> 8))
    if creator is None or not isinstance(creator.value, str):
        return None
    vr = _safe().get((creator.value.strip(), f"{tag.group:04X}xx{tag.element & 0xFF:02X}"))
    return vr if vr is not None and vr == element.VR else None


def creator_tag(element: DataElement) -> tuple[int, int]:
    """The element that reserves a private element's block."""
    return element.tag.group, element.tag.element >> 8
