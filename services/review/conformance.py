"""Whether a study was acquired as the consensus asks, from its stored headers; never blocks anything.

A line says what was wanted, what was found and whether it fits; a value that the headers do not have is neither.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from models.dicom import read_series
from models.diffusion import b_value_of
from models.errors import InvalidVolume, ModelError
from models.mosaic import Tile, is_mosaic, tiles_of
from services.context import Context
from services.ledger import analyses, gradings, images
from services.ledger.images import ImageSeries
from services.ledger.workitems import Purpose, Workitem
from services.results.sources import copy_of, replace_in
from services.review.protocols import Protocol, Range, Sequence, Wanted, load_protocol
from services.review.signal import Signal, measure_signal
from services.review.tasks import Task

# Where an enhanced object keeps what a classic one has at its top (PS3.3 C.7.6.16.2, C.8.13).
_GROUPS = {
    "SliceThickness": "PixelMeasuresSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "RepetitionTime": "MRTimingAndRelatedParametersSequence",
    "EffectiveEchoTime": "MREchoSequence",
    "InversionTimes": "MRModifierSequence",
    "DiffusionBValue": "MRDiffusionSequence",
}


@dataclass(frozen=True)
class Line:
    """One thing that was looked at; role None: of the study. `fits` None: the headers do not say."""

    role: str | None
    what: str
    wanted: str
    found: str | None
    fits: bool | None


@dataclass(frozen=True)
class SeriesFacts:
    """What the headers of a series say, in mm, ms, T and s/mm2; None where they say nothing.

    Attributes:
        matrix: as acquired where the header has it, else as reconstructed.
        gap_mm: free space between neighbouring slices.
        coverage_mm: from the outer face of the first slice to that of the last.
    """

    role: str
    field_strength_t: float | None = None
    is_3d: bool = False
    thickness_mm: float | None = None
    gap_mm: float | None = None
    field_of_view_mm: float | None = None
    matrix: tuple[int, int] | None = None
    coverage_mm: float | None = None
    repetition_ms: float | None = None
    echo_ms: float | None = None
    inversion_ms: float | None = None
    b_values: tuple[float, ...] = ()


def keep(context: Context, item: Workitem, task: Task) -> list[dict[str, Any]] | None:
    """The lines of a workitem: measured at the first call, and kept with the label from then on.

    None for tasks without a protocol, and for training and tests.
    """
    if task.protocol is None or item.purpose is not Purpose.WORK:
        return None
    with context.pool.connection() as connection:
        kept = gradings.conformance(connection, item.id)
        series = images.list_image_series(connection, item.study_uid)
    if kept is not None:
        return kept
    protocol = load_protocol(task.protocol)
    facts = [read_facts(each.role or "", _headers(context, each)) for each in series if each.role]
    lines = [asdict(line) for line in check(protocol, facts)]
    lines += [asdict(line) for line in _signal_lines(task.grid, _signal(context, item))]
    with context.pool.connection() as connection:
        gradings.save_conformance(connection, item.id, protocol.name, lines)
        return gradings.conformance(connection, item.id)


def check(protocol: Protocol, facts: Iterable[SeriesFacts]) -> list[Line]:
    """Hold a study's series against a protocol. Pure."""
    by_role: dict[str, SeriesFacts] = {}
    for each in facts:
        by_role.setdefault(each.role, each)
    lines = []
    if protocol.field_strength_t is not None:
        strengths = [each.field_strength_t for each in by_role.values() if each.field_strength_t is not None]
        lowest = min(strengths, default=None)
        lines.append(_range(None, "Field strength", Range(least=protocol.field_strength_t), lowest, "T"))
    for sequence in protocol.sequences:
        found = by_role.get(sequence.role)
        lines.append(Line(sequence.role, "Sequence", "present", "present" if found else "missing", found is not None))
        if found is not None:
            lines += _series_lines(sequence, protocol.wanted(sequence), found)
    return lines


def read_facts(role: str, headers: list[Dataset]) -> SeriesFacts:
    """What the headers of a series' instances say; tolerant of whatever is missing or odd."""
    frames = [frame for header in headers for frame in _frames(header)]
    if not frames:
        return SeriesFacts(role)
    first = frames[0]
    spacing = first.numbers("PixelSpacing")
    rows, columns = first.number("Rows"), first.number("Columns")
    thickness = first.number("SliceThickness")
    step, extent = _steps(frames)
    distance = first.number("SpacingBetweenSlices") or step
    return SeriesFacts(
        role=role,
        field_strength_t=first.number("MagneticFieldStrength"),
        is_3d=str(first.get("MRAcquisitionType") or "").upper() == "3D",
        thickness_mm=thickness,
        gap_mm=max(0.0, round(distance - thickness, 3)) if distance is not None and thickness is not None else None,
        field_of_view_mm=round(max(rows * spacing[0], columns * spacing[1]), 1)
        if len(spacing) == 2 and rows is not None and columns is not None
        else None,
        matrix=_matrix(first),
        coverage_mm=round(extent + (thickness or 0.0), 1) if extent is not None else None,
        repetition_ms=first.number("RepetitionTime"),
        echo_ms=first.number("EchoTime") or first.number("EffectiveEchoTime"),
        inversion_ms=first.number("InversionTime") or next(iter(first.numbers("InversionTimes")), None),
        b_values=tuple(sorted({value for frame in frames if (value := frame.b_value()) is not None})),
    )


class _Frame:
    """The attributes of one frame, wherever its object keeps them."""

    def __init__(self, header: Dataset, own: Dataset | None) -> None:
        shared = header.get("SharedFunctionalGroupsSequence")
        self._places = [place for place in (own, shared[0] if shared else None) if place is not None]
        self._header = header

    def get(self, keyword: str) -> Any:
        for place in self._places:
            group = place.get(_GROUPS.get(keyword, ""))
            if group and group[0].get(keyword) is not None:
                return group[0].get(keyword)
        return self._header.get(keyword)

    def numbers(self, keyword: str) -> list[float]:
        value = self.get(keyword)
        many = value if isinstance(value, pydicom.multival.MultiValue | list) else [value]
        try:
            return [float(each) for each in many if each is not None and each != ""]
        except (TypeError, ValueError):
            return []

    def number(self, keyword: str) -> float | None:
        return next((value for value in self.numbers(keyword) if np.isfinite(value)), None)

    def b_value(self) -> float | None:
        said = self.number("DiffusionBValue")
        private = b_value_of(self._header) if said is None else None
        return said if private is None else float(round(private))


def _frames(header: Dataset) -> list[_Frame]:
    own = header.get("PerFrameFunctionalGroupsSequence")
    if own:
        return [_Frame(header, frame) for frame in own]
    try:
        tiles = tiles_of(header) if is_mosaic(header) else []
    except InvalidVolume:
        tiles = []
    return [_Frame(_slice(header, tile), None) for tile in tiles] or [_Frame(header, None)]


def _slice(mosaic: Dataset, tile: Tile) -> Dataset:
    """The header of a mosaic, as that of one of its slices would be."""
    header = copy_of(mosaic)
    replace_in(header, "ImagePositionPatient", tile.position_mm.tolist())
    replace_in(header, "Rows", tile.rows.stop - tile.rows.start)
    replace_in(header, "Columns", tile.columns.stop - tile.columns.start)
    return header


def _steps(frames: list[_Frame]) -> tuple[float | None, float | None]:
    """Distance of neighbouring slices, and of the first from the last; of slices at several places only."""
    orientation = frames[0].numbers("ImageOrientationPatient")
    places = [frame.numbers("ImagePositionPatient") for frame in frames]
    if len(orientation) != 6 or any(len(place) != 3 for place in places):
        return None, None
    offsets = np.unique(np.round(np.array(places) @ np.cross(orientation[:3], orientation[3:]), 2))
    if len(offsets) < 2:
        return None, None
    return float(np.median(np.diff(offsets))), float(offsets[-1] - offsets[0])


def _matrix(frame: _Frame) -> tuple[int, int] | None:
    acquired = [int(value) for value in frame.numbers("AcquisitionMatrix") if value > 0]
    sizes = acquired if len(acquired) == 2 else [int(n) for k in ("Rows", "Columns") if (n := frame.number(k))]
    return (max(sizes), min(sizes)) if len(sizes) == 2 else None


def _series_lines(sequence: Sequence, wanted: Wanted, found: SeriesFacts) -> list[Line]:
    role = sequence.role
    lines = []
    thickest = wanted.thickness_3d_mm if found.is_3d and wanted.thickness_3d_mm else wanted.thickness_2d_mm
    if thickest is not None:
        lines.append(_range(role, "Slice thickness", Range(most=thickest), found.thickness_mm, "mm"))
    if not found.is_3d and wanted.gap_share is not None:
        most = found.thickness_mm * wanted.gap_share if found.thickness_mm is not None else None
        fits = found.gap_mm <= most + 1e-6 if most is not None and found.gap_mm is not None else None
        lines.append(Line(role, "Gap", f"≤ {wanted.gap_share:.0%} of the thickness", _mm(found.gap_mm), fits))
    if not found.is_3d and wanted.gap_mm is not None:
        lines.append(_range(role, "Gap", Range(most=wanted.gap_mm), found.gap_mm, "mm"))
    for what, span, value, unit in (
        ("Field of view", wanted.field_of_view_mm, found.field_of_view_mm, "mm"),
        ("Coverage", Range(least=wanted.coverage_mm) if wanted.coverage_mm else None, found.coverage_mm, "mm"),
        ("TR", wanted.repetition_ms, found.repetition_ms, "ms"),
        ("TE", wanted.echo_ms, found.echo_ms, "ms"),
        ("TI", wanted.inversion_ms, found.inversion_ms, "ms"),
    ):
        if span is not None:
            lines.append(_range(role, what, span, value, unit))
    if wanted.matrix is not None:
        least = (max(wanted.matrix), min(wanted.matrix))
        fits = found.matrix[0] >= least[0] and found.matrix[1] >= least[1] if found.matrix is not None else None
        said = f"{found.matrix[0]} × {found.matrix[1]}" if found.matrix is not None else None
        lines.append(Line(role, "Matrix", f"≥ {least[0]} × {least[1]}", said, fits))
    if wanted.b_values:
        fits = all(any(low <= b <= high for b in found.b_values) for low, high in wanted.b_values)
        words = ", ".join(f"{low:g}" if low == high else f"{low:g} – {high:g}" for low, high in wanted.b_values)
        said = ", ".join(f"{b:g}" for b in found.b_values) or None
        lines.append(Line(role, "b-values", f"{words} s/mm²", said, fits if found.b_values else None))
    return lines


def _range(role: str | None, what: str, span: Range, value: float | None, unit: str) -> Line:
    if value is None:
        return Line(role, what, span.said(unit), None, None)
    return Line(role, what, span.said(unit), f"{value:g} {unit}", span.holds(value))


def _mm(value: float | None) -> str | None:
    return None if value is None else f"{value:g} mm"


def _headers(context: Context, series: ImageSeries) -> list[Dataset]:
    with context.pool.connection() as connection:
        keys = analyses.instance_keys(connection, series.series_uid)
    return [header for key in keys if (header := _header(context, key)) is not None]


def _header(context: Context, key: str) -> Dataset | None:
    try:
        return pydicom.dcmread(BytesIO(context.store.get(key)), stop_before_pixels=True, force=True)
    except Exception:  # noqa: BLE001 - pydicom raises many kinds; a header that cannot be read says nothing
        return None


def _signal(context: Context, item: Workitem) -> Signal | None:
    with context.pool.connection() as connection:
        keys = analyses.instance_keys(connection, item.series_uid)
    try:
        volume = read_series([pydicom.dcmread(BytesIO(context.store.get(key))) for key in keys])
    except (KeyError, ModelError):
        return None
    return measure_signal(volume)


def _signal_lines(role: str, signal: Signal | None) -> list[Line]:
    how = "estimated in tissue" if signal is not None and not signal.in_air else "measured"
    return [
        Line(role, what, how, f"{value:.1f}" if value is not None else None, None)
        for what, value in (
            ("Signal to noise", signal.snr if signal else None),
            ("Contrast to noise", signal.cnr if signal else None),
        )
    ]
