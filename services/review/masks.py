"""A mask as Nightjar keeps it: one label a voxel on exactly the source images' own slices, with their geometry."""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from models.volume import Vector, Volume
from services.errors import Reject

Labels = NDArray[np.uint8]

SAME_VOXELS = 0.05
"""Two grids are one when no corner of theirs lies further apart than this part of a voxel: files round coordinates."""


class InvalidMask(Reject):
    """A mask that cannot be taken as it is. The message says what and where, without patient data."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Where a mask's voxels lie: parallel slices at any distance from each other, in the patient's frame (LPS).

    Attributes:
        shape: (slices, rows, columns).
        positions_mm: float64, (slices, 3): centre of voxel [k, 0, 0].
        row_direction, column_direction: unit vectors along increasing column and row index.
        spacing_mm: (between rows, between columns).
        frame_of_reference_uid: empty where the images name none.
        sources: SOP Instance UIDs in slice order.
    """

    shape: tuple[int, int, int]
    positions_mm: NDArray[np.float64]
    row_direction: Vector
    column_direction: Vector
    spacing_mm: tuple[float, float]
    frame_of_reference_uid: str = ""
    sources: tuple[str, ...] = ()

    @cached_property
    def volume(self) -> Volume:
        """The grid as a volume of nothing, for what can be measured of it: it takes no memory."""
        nothing = np.broadcast_to(np.float32(0), self.shape)
        return Volume(nothing, self.positions_mm, self.row_direction, self.column_direction, self.spacing_mm)

    @cached_property
    def step_mm(self) -> NDArray[np.float64]:
        """Mean way from one slice to the next, LPS, (3,); along the normal for a single slice."""
        count = self.shape[0] - 1
        mean: NDArray[np.float64] = (self.positions_mm[-1] - self.positions_mm[0]) / max(count, 1)
        return mean if count else self.volume.normal

    @property
    def affine(self) -> NDArray[np.float64]:
        """From voxel (column, row, slice) to LPS millimetres, (4, 4): sheared when tilted, with the mean step when
        slices are uneven."""
        affine = np.eye(4)
        affine[:3, 0] = np.array(self.row_direction) * self.spacing_mm[1]
        affine[:3, 1] = np.array(self.column_direction) * self.spacing_mm[0]
        affine[:3, 2] = self.step_mm
        affine[:3, 3] = self.positions_mm[0]
        return affine

    @property
    def upright_affine(self) -> NDArray[np.float64]:
        """The affine with its slices stacked along their normal, as readers without shear (ITK's) place them."""
        affine = self.affine
        normal = self.volume.normal
        affine[:3, 2] = normal * float(affine[:3, 2] @ normal)
        return affine

    @property
    def unevenness_mm(self) -> float:
        """How far the slice furthest from an even spacing lies from it."""
        even = self.positions_mm[0] + np.arange(self.shape[0])[:, None] * self.step_mm
        return float(np.linalg.norm(self.positions_mm - even, axis=1).max())

    def place_mm(self, voxel: tuple[int, int, int]) -> NDArray[np.float64]:
        """Centre of voxel (slice, row, column), LPS."""
        k, row, column = voxel
        place: NDArray[np.float64] = (
            self.positions_mm[k]
            + np.array(self.column_direction) * row * self.spacing_mm[0]
            + np.array(self.row_direction) * column * self.spacing_mm[1]
        )
        return place


@dataclass(frozen=True, eq=False)
class Mask:
    """Labels on a grid.

    Attributes:
        labels: uint8, axes (slice, row, column); 0 is nothing, other values are the task's labels.

    Raises:
        InvalidMask: the labels do not fill the grid.
    """

    labels: Labels
    grid: Grid

    def __post_init__(self) -> None:
        if self.labels.shape != self.grid.shape:
            raise InvalidMask(f"The mask has {_size(self.labels.shape)} voxels, the images {_size(self.grid.shape)}.")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of labels and geometry: two masks are the same exactly when their digests are."""
        return hashlib.sha256(
            json.dumps(_facts(self.grid), sort_keys=True).encode() + self.labels.tobytes()
        ).hexdigest()

    def volumes_ml(self) -> dict[int, float]:
        """Millilitres of each label that has voxels."""
        values = [int(value) for value in np.unique(self.labels) if value]
        return {value: self.grid.volume.measure_ml(self.labels == value) for value in values}


def encode(mask: Mask) -> bytes:
    """The mask as it is stored: a compressed archive; the same mask gives the same bytes."""
    facts = np.frombuffer(json.dumps(_facts(mask.grid), sort_keys=True).encode(), np.uint8)
    buffer = BytesIO()
    np.savez_compressed(buffer, labels=mask.labels, facts=facts)
    return buffer.getvalue()


def decode(data: bytes) -> Mask:
    """The mask that `encode` wrote.

    Raises:
        ValueError: these bytes are no stored mask, or not all of one.
    """
    try:
        with np.load(BytesIO(data), allow_pickle=False) as archive:
            labels = archive["labels"]
            facts = json.loads(archive["facts"].tobytes())
        grid = Grid(
            shape=tuple(facts["shape"]),
            positions_mm=np.array(facts["positions_mm"], np.float64),
            row_direction=tuple(facts["row_direction"]),
            column_direction=tuple(facts["column_direction"]),
            spacing_mm=tuple(facts["spacing_mm"]),
            frame_of_reference_uid=facts["frame_of_reference_uid"],
            sources=tuple(facts["sources"]),
        )
        return Mask(labels, grid)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, InvalidMask) as error:
        raise ValueError("these bytes are not a stored mask") from error


def grid_of(volume: Volume, headers: Sequence[Dataset]) -> Grid:
    """The grid of a series as read; `headers` of its instances name the frame of reference."""
    frames = {str(header.get("FrameOfReferenceUID") or "") for header in headers}
    return Grid(
        shape=(volume.voxels.shape[0], volume.voxels.shape[1], volume.voxels.shape[2]),
        positions_mm=np.asarray(volume.positions_mm, np.float64),
        row_direction=volume.row_direction,
        column_direction=volume.column_direction,
        spacing_mm=volume.spacing_mm,
        frame_of_reference_uid=frames.pop() if len(frames) == 1 else "",
        sources=volume.sources,
    )


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float | None:
    """Overlap of two masks, 0 to 1; None where neither marks anything."""
    marked = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / marked if marked else None


def _facts(grid: Grid) -> dict[str, Any]:
    return {
        "shape": [int(size) for size in grid.shape],
        "positions_mm": grid.positions_mm.tolist(),
        "row_direction": [float(value) for value in grid.row_direction],
        "column_direction": [float(value) for value in grid.column_direction],
        "spacing_mm": [float(value) for value in grid.spacing_mm],
        "frame_of_reference_uid": grid.frame_of_reference_uid,
        "sources": list(grid.sources),
    }


def _size(shape: Sequence[int]) -> str:
    """Columns x rows x slices, as viewers write it."""
    return " x ".join(str(size) for size in reversed(shape))
