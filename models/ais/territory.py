"""Which arteries' territories a core lies in: our own coarse map of territories, laid on the patient's brain.

`models.ais.train.atlas` makes the map. The borders of territories differ from person to person by centimetres: it says
where a core lies, not which artery is closed.
"""

from dataclasses import replace
from enum import IntEnum
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.ais.head import Placement, align, picture
from models.ais.preprocess import Diffusion, Mask
from models.nifti import read_nifti
from models.resample import index_of, place_of
from models.volume import Volume

ATLAS = Path(__file__).parent / "atlas"
LEVELS = 200
"""The mean head's 1, in its file."""

LEAST_LIKENESS = 0.9
"""A brain less like the mean head than this, as a correlation, is not laid where it belongs. Eight synthetic heads of
training's persons were all above; of the same ones upside down none, back to front one."""

STRETCH = (0.7, 1.4)
"""Persons are not smaller or larger than this beside the mean head, in no direction."""

KNOWN = 0.5
"""So much of a core lies in the map, or nothing is said of it."""

ONE_SIDE = 0.8
"""A share on one side of the midline from which on a territory's core is on that side, and not on both."""


class Territory(IntEnum):
    """Whose branches supply a place; numbers are those in the map, and of the card's answers. 0 is none of them."""

    ACA = 1
    MCA = 2
    PCA = 3
    VERTEBROBASILAR = 4


NAMES = {
    Territory.ACA: "ACA",
    Territory.MCA: "MCA",
    Territory.PCA: "PCA",
    Territory.VERTEBROBASILAR: "vertebrobasilar",
}


class Side(IntEnum):
    """Numbers are those of the card's answers."""

    LEFT = 0
    RIGHT = 1
    BOTH = 2


def supply(images: Diffusion, core: Mask, left: Mask) -> dict[str, float]:
    """A core's main territory and the share of each, by the names in the card; main territory 0: not determined.

    Args:
        core, left: (slice, row, column); there is a core, and what lies left of the midline.
    """
    territories = locate(images, core)
    if territories is None:
        return {"main territory": 0.0}
    voxel_ml = np.broadcast_to(images.volume.voxel_ml[:, None, None], core.shape)[core]
    known = float(voxel_ml[territories > 0].sum())
    if known < KNOWN * float(voxel_ml.sum()):
        return {"main territory": 0.0}
    ml = {territory: float(voxel_ml[territories == territory].sum()) for territory in Territory}
    main = max(ml, key=lambda territory: ml[territory])
    lefts = float(voxel_ml[(territories == main) & left[core]].sum()) / ml[main]
    return {
        "main territory": float(main),
        "side of main territory": float(side_of(lefts)),
        **{f"core, {NAMES[territory]} territory": 100 * each / known for territory, each in ml.items()},
    }


def side_of(lefts: float) -> Side:
    """Where something lies of which such a share is left of the midline."""
    return Side.LEFT if lefts >= ONE_SIDE else Side.RIGHT if lefts <= 1 - ONE_SIDE else Side.BOTH


def locate(images: Diffusion, where: Mask) -> NDArray[np.uint8] | None:
    """The territory of each voxel of a mask, in its order, 0 outside the map; None where the map cannot be laid."""
    head, territories = atlas()
    placed = align(*picture(images), head)
    if placed is None or not fits(placed):
        return None
    places = place_of(images.volume, np.argwhere(where).T.astype(np.float64))
    return read(territories, placed.apply(places))


def fits(placed: Placement) -> bool:
    """Whether what was found can be a head where it belongs."""
    least, *_, most = placed.stretch
    upright = float(np.linalg.det(placed.matrix)) > 0
    return placed.likeness >= LEAST_LIKENESS and STRETCH[0] <= least and most <= STRETCH[1] and upright


def read(territories: Volume, points_mm: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The map at points of the mean head, (..., 3) LPS mm; 0 outside."""
    index = np.rint(index_of(territories, points_mm)).astype(np.intp)
    shape = np.array(territories.voxels.shape).reshape(-1, *[1] * (index.ndim - 1))
    inside = ((index >= 0) & (index < shape)).all(axis=0)
    return np.where(inside, territories.voxels[tuple(np.clip(index, 0, shape - 1))], 0).astype(np.uint8)


@cache
def atlas() -> tuple[Volume, Volume]:
    """The mean head, 1 in tissue and 0.5 in water, and the territories; one grid, MNI places as LPS mm."""
    head, _ = read_nifti(ATLAS / "head.nii.gz")
    territories, _ = read_nifti(ATLAS / "territories.nii.gz")
    return replace(head, voxels=head.voxels / np.float32(LEVELS)), territories
