"""How an MR series sampled its planes: which axis was phase-encoded, and how finely (PS3.3 C.8.3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

_UNREADABLE = (TypeError, ValueError, ZeroDivisionError)


@dataclass(frozen=True)
class PhaseEncoding:
    """Sampling of a slice, in cycles per pixel of the image; 0.5 is the finest its grid holds.

    Attributes:
        axis: phase-encoded axis of (slice, row, column) arrays: 1 when lines differ along rows' index, else 2.
        measured: finest detail acquired along it.
        readout: finest detail acquired along the other axis.
        full: what `measured` would be at the readout's resolution.
    """

    axis: int
    measured: float
    readout: float
    full: float

    @property
    def fraction(self) -> float:
        """Resolution along the phase axis as a share of the readout's."""
        return self.measured / self.full


def phase_encoding_of(dataset: Dataset) -> PhaseEncoding | None:
    """What the header of a classic MR image says; None where it says too little.

    Lines and samples are those of Acquisition Matrix, or follow from Percent Sampling where there is none. The field
    of view along the phase axis is that of Percent Phase Field of View; scanners may pad the image beyond it.
    """
    axis = {"COL": 1, "ROW": 2}.get(str(dataset.get("InPlanePhaseEncodingDirection") or ""))
    if axis is None:
        return None
    try:
        pixels = (int(dataset.Rows), int(dataset.Columns))
        spacing = tuple(float(v) for v in dataset.PixelSpacing)
        along, across = (0, 1) if axis == 1 else (1, 0)
        readout_mm = pixels[across] * spacing[across]
        samples, lines = _matrix(dataset.get("AcquisitionMatrix"))
        share = _number(dataset.get("PercentPhaseFieldOfView"))
        phase_mm = pixels[along] * spacing[along] if share is None else readout_mm * share / 100
        if lines is None or samples is None:
            sampling = _number(dataset.get("PercentSampling"))
            if sampling is None:
                return None
            samples = pixels[across]
            lines = sampling / 100 * samples * phase_mm / readout_mm
        return PhaseEncoding(
            axis=axis,
            measured=min(0.5, 0.5 * lines / phase_mm * spacing[along]),
            readout=min(0.5, 0.5 * samples / readout_mm * spacing[across]),
            full=min(0.5, 0.5 * samples / readout_mm * spacing[along]),
        )
    except (AttributeError, *_UNREADABLE):
        return None


def _matrix(values: Sequence[Any] | None) -> tuple[float | None, float | None]:
    """Samples of the readout and lines: of the four numbers two are zero, by the direction of the phase."""
    if values is None:
        return None, None
    numbers = [float(value) for value in values]
    samples, lines = max(numbers[:2], default=0.0), max(numbers[2:], default=0.0)
    return (samples, lines) if samples > 0 and lines > 0 else (None, None)


def _number(value: Any) -> float | None:
    number = None if value in (None, "") else float(value)
    return number if number is not None and number > 0 else None
