"""Images for the viewer: read as the models read them, so that labels fit, then kept as 16-bit integers."""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image

from models.dicom import read_series
from models.errors import InvalidVolume
from models.volume import Volume
from services.languages import gettext
from services.ledger.images import InstanceFacts, SeriesContent
from services.storage import Store

BRAIN = (80.0, 40.0)
"""Width and level, HU."""

LARGEST_BYTES = 400 * 2**20
"""Of voxels in one series, 800 slices of 512 x 512; reading takes a few times as much, and so does the page."""

_READINGS = 2
_INT16 = np.iinfo(np.int16)
_PERCENTILES = (1.0, 99.7)


@dataclass(frozen=True, eq=False)
class Images:
    """A series as the viewer gets it.

    Attributes:
        voxels: little-endian int16, axes (slice, row, column); value = voxel * slope + intercept.
        positions_mm: (slices, 3), centre of voxel [k, 0, 0], LPS.
        row_direction, column_direction: unit vectors along increasing column and row index, LPS.
        spacing_mm: (between rows, between columns).
        window: width and level to open with, in the series' own units.
    """

    voxels: NDArray[np.int16]
    slope: float
    intercept: float
    positions_mm: NDArray[np.float64]
    row_direction: tuple[float, float, float]
    column_direction: tuple[float, float, float]
    spacing_mm: tuple[float, float]
    window: tuple[float, float]
    is_ct: bool

    @property
    def geometry(self) -> dict[str, Any]:
        """What a page needs to place the voxels in the patient; no patient data."""
        slices, rows, columns = self.voxels.shape
        return {
            "slices": slices,
            "rows": rows,
            "columns": columns,
            "slope": self.slope,
            "intercept": self.intercept,
            "positions_mm": self.positions_mm.tolist(),
            "row_direction": self.row_direction,
            "column_direction": self.column_direction,
            "spacing_mm": self.spacing_mm,
            "window": self.window,
            "is_ct": self.is_ct,
        }

    @property
    def volume(self) -> Volume:
        """The series in its own units."""
        values = self.voxels.astype(np.float32) * self.slope + self.intercept
        return Volume(values, self.positions_mm, self.row_direction, self.column_direction, self.spacing_mm)

    def picture(self, index: int) -> bytes:
        """One slice as a greyscale PNG in the opening window, a pixel a voxel."""
        return _png(self._grey(index))

    def thumbnail(self, index: int, size: int = 192) -> bytes:
        """One slice in its own proportions on a square of so many pixels, PNG."""
        grey = self._grey(index)
        height, width = np.array(self.voxels.shape[1:]) * self.spacing_mm
        scale = size / max(height, width)
        shape = (max(1, round(width * scale)), max(1, round(height * scale)))
        square = Image.new("L", (size, size))
        square.paste(grey.resize(shape, Image.Resampling.BILINEAR), ((size - shape[0]) // 2, (size - shape[1]) // 2))
        return _png(square)

    def _grey(self, index: int) -> Image.Image:
        width, level = self.window
        values = self.voxels[index].astype(np.float32) * self.slope + self.intercept
        return Image.fromarray(np.clip((values - (level - width / 2)) / width * 255, 0, 255).astype(np.uint8))


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


class Shelf:
    """Series read a moment ago, within so many bytes. Who asks for one that is being read waits for that reading.

    Only a few are read side by side, whoever asks: each takes memory while it lasts.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[str, Images] = OrderedDict()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._readings = threading.BoundedSemaphore(_READINGS)

    def get(self, digest: str, read: Callable[[], Images]) -> Images:
        """The series with this content, read at most once at a time."""
        with self._lock:
            own = self._locks.setdefault(digest, threading.Lock())
        with own:
            with self._lock:
                found = self._kept.get(digest)
                if found is not None:
                    self._kept.move_to_end(digest)
                    return found
            with self._readings:
                images = read()
            with self._lock:
                self._kept[digest] = images
                while len(self._kept) > 1 and sum(kept.voxels.nbytes for kept in self._kept.values()) > self._limit:
                    dropped, _ = self._kept.popitem(last=False)
                    self._locks.pop(dropped, None)
            return images


def read_images(store: Store, content: SeriesContent, *, largest_bytes: int = LARGEST_BYTES) -> Images:
    """A whole series.

    Raises:
        InvalidVolume: it cannot be shown as a volume, or is too large; the message says why, without patient data.
    """
    size_bytes = sum(_voxel_bytes(instance) for instance in content.instances)
    if size_bytes > largest_bytes:
        raise InvalidVolume(
            gettext(
                "This series has %(instances)s instances and %(size)s MiB of voxels, too many for the quick viewer. "
                "Read it in PACS.",
                instances=len(content.instances),
                size=f"{size_bytes / 2**20:.0f}",
            )
        )
    return keep(read_series([_instance(store, each.digest) for each in content.instances]), content.modality)


def read_slice(store: Store, content: SeriesContent, index: int) -> Images | None:
    """One slice of a CT by its index in the volume, read from its instance alone.

    None where the ledger does not say which instance that is; then the series has to be read.
    """
    digest = _instance_of_slice(content, index)
    if digest is None:
        return None
    return keep(read_series([_instance(store, digest)]), content.modality)


def _instance_of_slice(content: SeriesContent, index: int) -> str | None:
    places = []
    for instance in content.instances:
        position = _numbers(instance.attributes.get("ImagePositionPatient"), 3)
        orientation = _numbers(instance.attributes.get("ImageOrientationPatient"), 6)
        is_plain = content.modality == "CT" and instance.attributes.get("NumberOfFrames", 1) == 1
        if position is None or orientation is None or not is_plain:
            return None
        normal = np.cross(orientation[:3], orientation[3:])
        places.append((float(position @ normal), instance.digest))
    places.sort()
    return places[index][1] if 0 <= index < len(places) else None


def _voxel_bytes(instance: InstanceFacts) -> int:
    rows, columns, frames = (instance.attributes.get(name, 1) for name in ("Rows", "Columns", "NumberOfFrames"))
    sizes = [size for size in (rows, columns, frames) if isinstance(size, int)]
    return 2 * math.prod(sizes)


def _numbers(values: object, count: int) -> NDArray[np.float64] | None:
    if not isinstance(values, list) or len(values) != count or not all(isinstance(v, int | float) for v in values):
        return None
    return np.array(values, np.float64)


def _instance(store: Store, digest: str) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(BytesIO(store.get(digest)))
    except KeyError:
        raise InvalidVolume(gettext("The bytes of an instance are no longer in the store.")) from None


def keep(volume: Volume, modality: str | None) -> Images:
    """A volume as the viewer gets it."""
    is_ct = modality == "CT"
    voxels, slope, intercept = _as_int16(volume.voxels, is_ct=is_ct)
    return Images(
        voxels=voxels,
        slope=slope,
        intercept=intercept,
        positions_mm=volume.positions_mm,
        row_direction=volume.row_direction,
        column_direction=volume.column_direction,
        spacing_mm=volume.spacing_mm,
        window=BRAIN if is_ct else _window(volume.voxels),
        is_ct=is_ct,
    )


def _as_int16(values: NDArray[np.float32], *, is_ct: bool) -> tuple[NDArray[np.int16], float, float]:
    """Voxels, slope and intercept. CT keeps whole Hounsfield units; others are stretched where they do not fit."""
    if is_ct:
        whole = np.empty(values.shape, "<i2")
        for index, plane in enumerate(values):  # a slice stays in the processor's cache: ten times as fast
            whole[index] = np.clip(np.rint(plane), _INT16.min, _INT16.max)
        return whole, 1.0, 0.0
    low, high = float(values.min()), float(values.max())
    if _INT16.min <= low and high <= _INT16.max and bool((values == np.rint(values)).all()):
        return values.astype("<i2"), 1.0, 0.0
    slope = (high - low) / (_INT16.max - _INT16.min) or 1.0
    intercept = low - _INT16.min * slope
    return np.clip(np.rint((values - intercept) / slope), _INT16.min, _INT16.max).astype("<i2"), slope, intercept


def _window(values: NDArray[np.float32]) -> tuple[float, float]:
    """Width and level that show most of what is not air, for images without a scale of their own."""
    sample = values[:, ::4, ::4]
    tissue = sample[sample > sample.min()]
    low, high = np.percentile(tissue, _PERCENTILES) if tissue.size else (0.0, 1.0)
    return max(float(high - low), 1e-6), float(low + high) / 2
