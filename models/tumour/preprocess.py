"""The sequences of a study on one axial grid: what is missing, how they lie to one another, where the head is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidVolume, MissingInput
from models.resample import place_of, resample, same_grid
from models.tumour.network import ROLES, head_of
from models.tumour.register import register
from models.volume import Volume

FEWEST = 3
"""So many of the four sequences are needed."""

AXIAL = 0.6
"""Of a normal's upright part: less is sagittal or coronal."""

WORKING_MM, WORKING_STEP_MM = 1.0, 3.0
"""Pixels and slices of the axial grid on which a study is analysed whose reference is not axial."""

SMALLEST_HEAD_ML = 300.0
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sequences:
    """What the network looks at.

    Attributes:
        reference: the first role that is there.
        volume: it as acquired: the answer's grid.
        images: by role, on one axial grid, that of the reference where it is axial.
        head: on that grid, (slice, row, column).
        moved_mm: by role, how far registration moved a point of the head at most.
    """

    reference: str
    volume: Volume
    images: Mapping[str, Volume]
    head: Mask
    moved_mm: Mapping[str, float]

    @property
    def grid(self) -> Volume:
        """The axial grid, with the reference's voxels."""
        return self.images[self.reference]

    @property
    def as_acquired(self) -> bool:
        """The axial grid is the reference's own."""
        return same_grid(self.grid, self.volume)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(role for role in ROLES if role not in self.images)


def prepare(inputs: Mapping[str, Volume]) -> Sequences:
    """Bring sequences together.

    Raises:
        MissingInput: fewer than three of the four.
        InvalidVolume: one does not lie where the reference lies, or shows no head.
    """
    given = [role for role in ROLES if role in inputs]
    missing = [role for role in ROLES if role not in inputs]
    if len(given) < FEWEST:
        raise MissingInput(f"missing {' and '.join(missing)}: three of {', '.join(ROLES)} are needed.")
    reference, volume = given[0], inputs[given[0]]
    grid = volume if abs(volume.normal[2]) >= AXIAL else _axial(volume)
    images = {reference: grid if grid is volume else replace(grid, voxels=resample(volume, grid))}
    moved_mm = {}
    for role in given[1:]:
        laid, moved_mm[role] = register(inputs[role], volume)
        voxels = np.maximum(resample(laid, grid), 0)
        if not voxels.any():
            raise InvalidVolume(f"The {role} does not lie where the {reference} lies.")
        images[role] = replace(grid, voxels=voxels)
    images[reference] = replace(images[reference], voxels=np.maximum(images[reference].voxels, 0))
    head = head_of(images[reference].voxels)
    if grid.measure_ml(head) < SMALLEST_HEAD_ML:
        raise InvalidVolume(f"There is no head to be seen in the {reference}.")
    return Sequences(reference, volume, images, head, moved_mm)


def _axial(volume: Volume) -> Volume:
    """An axial grid around a volume in another plane, empty."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.voxels.shape], indexing="ij"), float).reshape(3, -1)
    places = place_of(volume, corners)
    low, high = places.min(axis=0), places.max(axis=0)
    columns, rows = (int((high[axis] - low[axis]) / WORKING_MM) + 1 for axis in (0, 1))
    heights = np.arange(low[2], high[2] + WORKING_STEP_MM / 2, WORKING_STEP_MM)
    positions = np.stack([np.full(len(heights), low[0]), np.full(len(heights), low[1]), heights], axis=1)
    empty = np.zeros((len(heights), rows, columns), np.float32)
    return Volume(empty, positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (WORKING_MM, WORKING_MM))
