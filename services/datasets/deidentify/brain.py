"""Where the brain is in a head, well enough not to cut into it: coarse, from brightness and shape alone.

Both ways look for the large body of soft tissue that bone (CT) or bone's darkness (MR) parts from scalp and face. What
does not come out as a brain's size and shape is refused: then the images are held, never cut on a guess.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.resample import resample
from models.volume import Volume
from services.datasets.deidentify.hold import Hold

STEP_MM: Final = 3.0
AIR_HU: Final = -1000.0
_SOFT_HU: Final = (-8.0, 110.0)
_BRAIN_ML: Final = (450.0, 1900.0)
_WIDE_MM: Final = (100.0, 185.0)
_LONG_MM: Final = (120.0, 225.0)
_BRIGHT_SHARES: Final = (0.5, 0.6, 0.7)
"""Of the deep middle's brightness, what is still tissue. Thick slices average bone with scalp and brain, so where the
first does not part them a higher one may; each answer has to measure like a brain."""
_HIGHEST_MM: Final = 165.0
_LOBES_MM: Final = 125.0
"""How far below a brain's top its stem and its temporal lobes may reach, a tilted head's too."""
_FULL: Final = 0.72
"""A brain fills so much of the box's ellipse; a mask that ran into face or neck does not."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Coarse:
    """A head on an even grid in the patient's axes.

    Attributes:
        values: float32, (z from the feet, y to the back, x to the left), STEP_MM apart.
        origin_mm: LPS of voxel [0, 0, 0].
        head: tissue and what it encloses.
        brain: brain and cerebrospinal fluid, without holes.
    """

    values: NDArray[np.float32]
    origin_mm: NDArray[np.float64]
    head: Mask
    brain: Mask

    def places_mm(self, mask: Mask) -> NDArray[np.float64]:
        """LPS of the voxels of a mask, (n, 3)."""
        found = np.argwhere(mask)[:, ::-1] * STEP_MM
        return np.asarray(found + self.origin_mm)


def find_brain(volume: Volume, modality: str) -> Coarse:
    """Head and brain of a CT or MR series.

    Raises:
        Hold: there is no brain in it that can be told from the rest.
    """
    values, origin = _coarse(volume, AIR_HU if modality == "CT" else 0.0)
    if modality == "CT":
        head = _filled(values > -300.0)
        brain = _largest((values > _SOFT_HU[0]) & (values < _SOFT_HU[1]), head, 6.5, 0.0)
        _check(brain)
        return Coarse(values, origin, head, brain)
    head, bright = _mr_head(values)
    refused: list[Hold] = []
    for share in _BRIGHT_SHARES:
        try:
            brain = _without_neck(_largest(values > share * bright, head, 10.0, 9.0))
            _check(brain)
        except Hold as hold:
            refused.append(hold)
        else:
            return Coarse(values, origin, head, _without_mouth(brain))
    raise refused[0]


def _coarse(volume: Volume, outside: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The volume in the patient's own axes; finer images are smoothed first, so that noise is not sampled."""
    _, rows, columns = volume.voxels.shape
    across = np.array([[r, c] for r in (0, rows - 1) for c in (0, columns - 1)], float)
    plane = across[:, :1] * volume.spacing_mm[0] * np.array(volume.column_direction) + across[
        :, 1:
    ] * volume.spacing_mm[1] * np.array(volume.row_direction)
    corners = (volume.positions_mm[[0, -1], None] + plane[None]).reshape(-1, 3)
    low, high = corners.min(axis=0), corners.max(axis=0)
    count = np.maximum(np.ceil((high - low) / STEP_MM).astype(int) + 1, 2)
    spacing = (float(np.median(volume.slab_mm)), *volume.spacing_mm)
    smooth = ndimage.gaussian_filter(volume.voxels, [0.4 * STEP_MM / mm if mm < STEP_MM else 0.0 for mm in spacing])
    source = Volume(smooth, volume.positions_mm, volume.row_direction, volume.column_direction, volume.spacing_mm)
    target = Volume(
        np.broadcast_to(np.float32(0), (int(count[2]), int(count[1]), int(count[0]))),
        low + np.arange(count[2])[:, None] * np.array([0.0, 0.0, STEP_MM]),
        (1.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
        (STEP_MM, STEP_MM),
    )
    return resample(source, target, outside=outside), low


def _mr_head(values: NDArray[np.float32]) -> tuple[Mask, float]:
    """Head, and how bright its deep middle is: bone and air are darker."""
    positive = values[values > 0]
    if not positive.size:
        raise Hold("Its slices are empty.")
    head = _filled(values > 0.25 * float(np.percentile(positive, 75)))
    depth = ndimage.distance_transform_edt(head) * STEP_MM
    top = int(np.flatnonzero(head.any(axis=(1, 2)))[-1])
    upper = np.zeros_like(head)
    upper[max(0, top - round(95 / STEP_MM)) : top + 1] = True
    deep = values[(depth > min(30.0, 0.6 * float(depth.max()))) & upper]
    if not deep.size:
        raise Hold("No head is found in it.")
    return head, float(np.median(deep))


def _without_neck(brain: Mask) -> Mask:
    """Without what lies further below its top than any stem reaches."""
    kept = brain.copy()
    kept[: _level(brain, _HIGHEST_MM)] = False
    return kept


def _without_mouth(brain: Mask) -> Mask:
    """Without what lies below the temporal lobes and in front of the middle, where no brain is."""
    lobes = _level(brain, _LOBES_MM)
    rows = np.flatnonzero(brain[lobes:].any(axis=(0, 2)))
    kept = brain.copy()
    kept[:lobes, : (rows[0] + rows[-1]) // 2] = False
    return kept


def _level(brain: Mask, below_mm: float) -> int:
    """The plane so far below a brain's top."""
    top = int(np.flatnonzero(brain.any(axis=(1, 2)))[-1])
    return max(0, top - round(below_mm / STEP_MM))


def _largest(tissue: Mask, head: Mask, thick_mm: float, skin_mm: float) -> Mask:
    """The body that opening leaves largest, grown back to its rim, closed and filled.

    Args:
        thick_mm: bridges thinner than twice this are cut.
        skin_mm: nothing nearer to the head's surface is brain; where that is wrong, the margin makes up for it.
    """
    deep = ndimage.distance_transform_edt(head, sampling=STEP_MM) > skin_mm if skin_mm else head
    opened = _opened(tissue & deep, thick_mm)
    parts, count = ndimage.label(opened)
    if not count:
        raise Hold("No brain is found in it.")
    body = parts == np.bincount(parts[parts > 0]).argmax()
    grown = _within(body, 3.5) & tissue
    closed = ~_within(~_within(grown, 9.0), 9.0)
    return np.asarray(ndimage.binary_fill_holes(closed) & head)


def _check(brain: Mask) -> None:
    """Refuse what is no brain by size or shape."""
    ml = float(brain.sum()) * STEP_MM**3 / 1000
    box = ndimage.find_objects(brain.astype(np.uint8))
    if not box or not _BRAIN_ML[0] <= ml <= _BRAIN_ML[1]:
        raise Hold(f"What looks like brain in it measures {ml:.0f} mL.")
    # The upper two thirds: below, brainstem and neck make any shape.
    height = (box[0][0].stop - box[0][0].start) * STEP_MM
    upper: Mask = brain[box[0]][-max(1, round(min(height, 110.0) / STEP_MM * 0.66)) :]
    seen: Mask = np.asarray(upper.any(axis=0))
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    length, width = len(rows) * STEP_MM, len(columns) * STEP_MM
    full = float(seen.sum()) / (np.pi / 4 * np.ptp(rows) * np.ptp(columns) + 1e-6)
    if not (_LONG_MM[0] <= length <= _LONG_MM[1] and _WIDE_MM[0] <= width <= _WIDE_MM[1] and full >= _FULL):
        raise Hold(f"What looks like brain in it measures {length:.0f} x {width:.0f} mm.")


def _filled(mask: Mask) -> Mask:
    """The largest part of a mask, slice by slice without holes."""
    parts, count = ndimage.label(mask)
    if not count:
        raise Hold("No head is found in it.")
    body = parts == np.bincount(parts[parts > 0]).argmax()
    return np.stack([ndimage.binary_fill_holes(plane) for plane in body])


def _opened(mask: Mask, reach_mm: float) -> Mask:
    return _within(~_within(~mask, reach_mm), reach_mm)


def _within(mask: Mask, reach_mm: float) -> Mask:
    if not mask.any():
        return np.zeros_like(mask)
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=STEP_MM) <= reach_mm)
