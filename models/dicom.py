"""DICOM images as a Volume: any order, tilt, uneven spacing, classic, enhanced, mosaic; what is unclear is refused."""

import math
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.processing import apply_rescale

from models.decoding import decode
from models.diffusion import b_value_of, choose_images, combine, is_trace
from models.errors import InvalidVolume
from models.functional_groups import PER_FRAME, SHARED, classic_mr, in_frame, is_enhanced
from models.mosaic import Tile, is_mosaic, tiles_of
from models.phase import PhaseEncoding, phase_encoding_of
from models.volume import Volume

PARALLEL = 1e-3
"""Direction cosines of one series may differ by so much: scanners round them."""

SAME_PLACE_MM = 0.01
AIR_HU = -1024.0

_DAMAGED = "{} is a damaged DICOM file. Remove it, or export its series again."

_UNREADABLE = (
    AttributeError,
    BytesLengthException,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pydicom raises for damaged or odd elements. Its texts may quote them, so they never go into ours."""


@dataclass(frozen=True, eq=False)
class _Frame:
    """One slice before sorting."""

    pixels: NDArray[np.float32]
    position_mm: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing_mm: tuple[float, float]
    thickness_mm: float
    source: str
    b_value: float | None = None
    trace: bool = False
    encoding: PhaseEncoding | None = None
    number: int | None = None
    """In its instance, frames or tiles from 1; None where the instance is one slice."""


def read_series(datasets: Sequence[Dataset]) -> Volume:
    """The slices of one series, sorted along their normal; of a diffusion series one b-value, directions as their mean.

    Args:
        datasets: instances in any order, classic, mosaic or enhanced, compressed or not.

    Raises:
        InvalidVolume: no image, no geometry, planes that are not parallel, two slices at one place, sizes that
            differ, or pixels that cannot be decoded. The message never carries patient data.
    """
    if not datasets:
        raise InvalidVolume("The series has no instance.")
    return _arrange([frame for dataset in datasets for frame in _frames(dataset)])


def _arrange(frames: Sequence[_Frame]) -> Volume:
    _check(frames)
    first = frames[0]
    for frame in frames:
        if frame.pixels.shape != first.pixels.shape or not np.allclose(frame.spacing_mm, first.spacing_mm, rtol=1e-3):
            raise InvalidVolume("The slices of the series differ in size or pixel spacing.")
        if np.abs(frame.orientation - first.orientation).max() > PARALLEL:
            raise InvalidVolume("The slices of the series are not parallel; it may hold a localiser.")
    row, column = first.orientation[:3], first.orientation[3:]
    offsets = np.array([frame.position_mm @ np.cross(row, column) for frame in frames])
    order = np.argsort(offsets, kind="stable")
    near = np.flatnonzero(np.diff(offsets[order]) < SAME_PLACE_MM)
    if near.size and any(frame.b_value is not None for frame in frames):
        return _arrange(_one_shell(frames, offsets))
    if near.size:
        raise InvalidVolume(
            f"{near.size} of {len(frames)} slices lie where another one lies, the first at "
            f"{offsets[order][near[0]]:.1f} mm; the series may hold several acquisitions."
        )
    frames = [frames[k] for k in order]
    return Volume(
        voxels=np.stack([frame.pixels for frame in frames]),
        positions_mm=np.stack([frame.position_mm for frame in frames]),
        row_direction=(float(row[0]), float(row[1]), float(row[2])),
        column_direction=(float(column[0]), float(column[1]), float(column[2])),
        spacing_mm=first.spacing_mm,
        sources=tuple(frame.source for frame in frames),
        thickness_mm=first.thickness_mm,
        encoding=first.encoding if all(frame.encoding == first.encoding for frame in frames) else None,
        frames=tuple(frame.number for frame in frames),
    )


def _one_shell(frames: Sequence[_Frame], offsets_mm: NDArray[np.float64]) -> list[_Frame]:
    """One image a place: a diffusion series' b-value near 1000, its directions averaged."""
    order = np.argsort(offsets_mm, kind="stable")
    places = np.empty(len(frames), int)
    places[order] = np.cumsum(np.diff(offsets_mm[order], prepend=offsets_mm[order[0]]) >= SAME_PLACE_MM)
    chosen = choose_images([f.b_value for f in frames], [f.trace for f in frames], places.tolist())
    return [replace(frames[at[0]], pixels=combine([frames[k].pixels for k in at])) for at in chosen]


def _check(frames: Sequence[_Frame]) -> None:
    """Refuse places that are no places, before anything is computed from them."""
    for frame in frames:
        if frame.position_mm.shape != (3,) or frame.orientation.shape != (6,):
            raise InvalidVolume("An instance lacks a complete position or orientation.")
        if not (np.isfinite(frame.position_mm).all() and np.isfinite(frame.spacing_mm).all()):
            raise InvalidVolume("An instance has a position or pixel spacing that is not a number.")
        directions = frame.orientation.reshape(2, 3)
        if not np.allclose(directions @ directions.T, np.eye(2), atol=0.01):
            raise InvalidVolume("An instance has an orientation that is not two perpendicular directions.")


def read_folder(folder: Path, modality: str, *, any_plane: bool = False) -> Volume:
    """The series of a modality with most slices among the DICOM files below a folder.

    Args:
        any_plane: not the axial ones alone.

    Raises:
        InvalidVolume: there is none, it cannot be read, or there are several of MR, where each shows something else.
    """
    plane = "" if any_plane else "axial "
    groups: dict[str, list[Path]] = {}
    slices: Counter[str] = Counter()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_HEADER))
            if header.get("Modality") == modality and _is_stack(header, any_plane=any_plane):
                series = str(header.SeriesInstanceUID)
                slices[series] += int(header.get("NumberOfFrames") or 1)
                groups.setdefault(series, []).append(path)
        except (InvalidDicomError, OSError):
            continue
        except _UNREADABLE as error:
            # Passing over it could leave a hole in the series that nobody sees.
            raise InvalidVolume(_DAMAGED.format(path)) from error
    if not groups:
        raise InvalidVolume(f"{folder} holds no {plane}{modality} series in DICOM.")
    if modality == "MR" and len(groups) > 1:
        raise InvalidVolume(f"{folder} holds {len(groups)} {plane}MR series. Name a folder that holds one.")
    datasets = []
    for path in groups[max(groups, key=lambda series: slices[series])]:
        try:
            datasets.append(pydicom.dcmread(path))
        except (OSError, *_UNREADABLE) as error:
            raise InvalidVolume(_DAMAGED.format(path)) from error
    return read_series(datasets)


_HEADER = (
    "SeriesInstanceUID",
    "Modality",
    "ImageOrientationPatient",
    "ImageType",
    "NumberOfFrames",
    SHARED,
    PER_FRAME,
)


def _is_stack(header: Dataset, *, any_plane: bool) -> bool:
    if "LOCALIZER" in (header.get("ImageType") or ()) or "SeriesInstanceUID" not in header:
        return False
    place = in_frame(header, 1, "PlaneOrientationSequence") if is_enhanced(header) else header
    try:
        values = np.array(place.get("ImageOrientationPatient"), float)
    except (TypeError, ValueError):
        return False
    return values.shape == (6,) and (any_plane or abs(float(np.cross(values[:3], values[3:])[2])) > 0.6)


def _frames(dataset: Dataset) -> list[_Frame]:
    try:
        if is_enhanced(dataset):
            return _enhanced(dataset)
        pixels = _decoded(dataset)
        if pixels.ndim != 2:
            raise InvalidVolume("An instance holds several frames or colours and says nothing of their place.")
        tiles = tiles_of(dataset) if is_mosaic(dataset) else []
        image = _Frame(
            _in_units(pixels, dataset, dataset),
            tiles[0].position_mm if tiles else np.array(dataset.ImagePositionPatient, float),
            np.array(dataset.ImageOrientationPatient, float),
            _spacing(dataset.PixelSpacing),
            _thickness(dataset),
            str(dataset.SOPInstanceUID),
            b_value_of(dataset),
            is_trace(dataset),
            phase_encoding_of(dataset) if dataset.get("Modality") == "MR" else None,
        )
        return [_slice(image, tile, number) for number, tile in enumerate(tiles, start=1)] or [image]
    except _UNREADABLE as error:
        if isinstance(error, AttributeError):
            raise InvalidVolume("An instance lacks position, orientation, pixel spacing or pixels.") from error
        raise InvalidVolume("An instance has a geometry that cannot be read.") from error


def _slice(mosaic: _Frame, tile: Tile, number: int) -> _Frame:
    """Of a mosaic, whose matrix says nothing of the whole's sides: no phase encoding is read from it."""
    pixels = mosaic.pixels[tile.rows, tile.columns]
    return replace(mosaic, pixels=pixels, position_mm=tile.position_mm, encoding=None, number=number)


def _enhanced(dataset: Dataset) -> list[_Frame]:
    pixels = _decoded(dataset)
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    frames = []
    for number, (image, _) in enumerate(zip(pixels, dataset[PER_FRAME].value, strict=True), start=1):
        group = partial(in_frame, dataset, number)
        measures, diffusion = group("PixelMeasuresSequence"), group("MRDiffusionSequence")
        frames.append(
            _Frame(
                _in_units(image, dataset, group("PixelValueTransformationSequence")),
                np.array(group("PlanePositionSequence").ImagePositionPatient, float),
                np.array(group("PlaneOrientationSequence").ImageOrientationPatient, float),
                _spacing(measures.PixelSpacing),
                _thickness(measures),
                str(dataset.SOPInstanceUID),
                b_value_of(diffusion),
                is_trace(diffusion),
                _phase_encoding(dataset, number),
                number=number,
            )
        )
    return frames


def _phase_encoding(image: Dataset, number: int) -> PhaseEncoding | None:
    if image.get("Modality") != "MR":
        return None
    frame = classic_mr(image, number)
    frame.Rows, frame.Columns = image.Rows, image.Columns
    return phase_encoding_of(frame)


def _decoded(dataset: Dataset) -> NDArray[Any]:
    # MONOCHROME1 inverts the display alone: stored values mean the same (PS3.3 C.7.6.3.1.2).
    if dataset.get("PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        raise InvalidVolume("An instance is not greyscale; its values are no densities.")
    try:
        return decode(dataset)
    except _UNREADABLE as error:
        # The transfer syntax alone says enough.
        syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
        raise InvalidVolume(f"The pixels of an instance cannot be decoded (transfer syntax {syntax}).") from error


def _in_units(pixels: NDArray[Any], dataset: Dataset, rescale: Dataset) -> NDArray[np.float32]:
    """Stored values in the modality's units; what pads a CT outside its circle becomes air."""
    values = np.asarray(apply_rescale(pixels, rescale), np.float32)
    if dataset.get("Modality") == "CT":
        if dataset.get("PixelPaddingValue") is not None:
            values[_padding(pixels, dataset)] = AIR_HU
        np.maximum(values, AIR_HU, out=values)
    return values


def _padding(pixels: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_]:
    """Where stored values are padding (PS3.3 C.7.5.1.1.2), even if it was written with the other signedness."""
    bits = pixels.dtype.itemsize * 8
    value = dataset.PixelPaddingValue
    limit = dataset.get("PixelPaddingRangeLimit")
    value, limit = (
        int(np.array(int(v) % 2**bits).astype(f"u{bits // 8}").view(pixels.dtype))
        for v in (value, value if limit is None else limit)
    )
    padding: NDArray[np.bool_] = (pixels >= min(value, limit)) & (pixels <= max(value, limit))
    return padding


def _spacing(value: Any) -> tuple[float, float]:
    rows, columns = (float(v) for v in value)
    if rows <= 0 or columns <= 0:
        raise InvalidVolume("An instance has a pixel spacing of zero or less.")
    return rows, columns


def _thickness(measures: Dataset) -> float:
    """Slice Thickness; 1 mm where none is said, or none that could be."""
    value = float(measures.get("SliceThickness") or 0)
    return value if math.isfinite(value) and value > 0 else 1.0
