"""What rules look at in a series: folded text, sets of code strings, numbers."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dicom_router.geometry import Orientation, orientation_of
from services.ledger.routing import SeriesRow

_PUNCTUATION = re.compile(r"[^\w+*=%]+|_+")


def fold(text: str) -> str:
    """Lower case without accents; punctuation, except + * = %, becomes one space."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return _PUNCTUATION.sub(" ", unicodedata.normalize("NFC", plain)).strip()


@dataclass(frozen=True)
class Traits:
    """A series as conditions see it: folded text, numbers in the units of their names."""

    modality: str
    description: str
    study: str
    body_part: str
    kernel: str
    sequence: str
    manufacturer: str
    sending_ae: str
    image_type: frozenset[str]
    orientation: Orientation | None
    contrast: bool
    numbers: dict[str, float | None]


def traits_of(series: SeriesRow) -> Traits:
    attributes = series.attributes
    image_type = attributes.get("ImageType") or []
    thickness = _number(attributes.get("SliceThickness"))
    spacing = _number(attributes.get("SpacingBetweenSlices")) or thickness
    agent = fold(_words(attributes.get("ContrastBolusAgent")))
    return Traits(
        modality=(series.modality or "").upper(),
        description=fold(series.description or _words(attributes.get("ProtocolName"))),
        study=fold(series.study_description or ""),
        body_part=fold(series.body_part or ""),
        kernel=fold(_words(attributes.get("ConvolutionKernel"))),
        sequence=fold(
            " ".join(
                _words(attributes.get(keyword))
                for keyword in (
                    "ScanningSequence", "SequenceVariant", "SequenceName", "PulseSequenceName", "AcquisitionContrast",
                )
            )
        ),
        manufacturer=fold(_words(attributes.get("Manufacturer"))),
        sending_ae=(series.sending_ae or "").casefold(),
        image_type=frozenset(str(v).upper() for v in (image_type if isinstance(image_type, list) else [image_type])),
        orientation=orientation_of(attributes.get("ImageOrientationPatient")),
        contrast=agent not in ("", "none", "no", "n", "without", "ohne", "sans", "0"),
        numbers={
            "slice_thickness_mm": thickness,
            "coverage_mm": None if spacing is None else abs(spacing) * series.slices,
            "instances": float(series.instances),
            "slices": float(series.slices),
            "repetition_time_ms": _number(attributes.get("RepetitionTime")),
            "echo_time_ms": _number(attributes.get("EchoTime")),
            "inversion_time_ms": _number(attributes.get("InversionTime")),
            "b_value": _number(attributes.get("DiffusionBValue")) if series.b_value_max is None else series.b_value_max,
            "gantry_tilt_degrees": _number(attributes.get("GantryDetectorTilt")),
            "phase_resolution_percent": _phase_resolution(attributes),
            "reconstruction_diameter_mm": _number(attributes.get("ReconstructionDiameter")),
        },
    )  # fmt: skip


def _phase_resolution(attributes: Mapping[str, Any]) -> float | None:
    """Resolution along the phase-encoding axis, percent of the readout's; None where the header says too little.

    Lines and samples are those of Acquisition Matrix, else Percent Sampling says it itself. The field of view along the
    phase axis is that of Percent Phase Field of View, else the image's.
    """
    direction = attributes.get("InPlanePhaseEncodingDirection")
    if direction not in ("ROW", "COL"):
        return None
    matrix = attributes.get("AcquisitionMatrix")
    if isinstance(matrix, list) and len(matrix) == 4 and max(matrix[:2]) > 0 and max(matrix[2:]) > 0:
        share = _number(attributes.get("PercentPhaseFieldOfView"))
        rows, columns, spacing = (attributes.get(name) for name in ("Rows", "Columns", "PixelSpacing"))
        if share is None and rows and columns and isinstance(spacing, list) and len(spacing) == 2 and min(spacing) > 0:
            share = 100 * rows * spacing[0] / (columns * spacing[1])
            share = share if direction == "COL" else 100 * 100 / share
        return 100 * max(matrix[2:]) / max(matrix[:2]) / (share / 100) if share else None
    return _number(attributes.get("PercentSampling"))


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")


def _number(value: Any) -> float | None:
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    return float(value) if isinstance(value, int | float) else None
