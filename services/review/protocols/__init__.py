"""What consensus papers ask of an acquisition, as data: one YAML file a protocol."""

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from models.card import read_part

_ROUNDING = 1e-6


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Part):
    """Where a value should lie; None: open to that side. `above` and `below` leave the bound itself out."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: float) -> bool:
        return (
            (self.least is None or value >= self.least - _ROUNDING)
            and (self.most is None or value <= self.most + _ROUNDING)
            and (self.above is None or value > self.above + _ROUNDING)
            and (self.below is None or value < self.below - _ROUNDING)
        )

    def said(self, unit: str) -> str:
        """As signs and figures, which every language reads: "300 – 800 ms", "> 2000 ms"."""
        if self.least is not None and self.most is not None:
            return f"{self.least:g} – {self.most:g} {unit}"
        signs = (("≥", self.least), ("≤", self.most), (">", self.above), ("<", self.below))
        return ", ".join(f"{sign} {bound:g} {unit}" for sign, bound in signs if bound is not None)


class Wanted(_Part):
    """What a series should be like; None: anything. b-values in s/mm2, the matrix in either order.

    Attributes:
        gap_share: largest gap between slices as part of their thickness; `gap_mm` as a length.
        field_of_view_mm: of the longer side.
        coverage_mm: least extent across the slices that counts as the whole brain.
        b_values: of each range one b-value at least.
    """

    thickness_2d_mm: float | None = None
    thickness_3d_mm: float | None = None
    gap_share: float | None = None
    gap_mm: float | None = None
    field_of_view_mm: Range | None = None
    matrix: tuple[int, int] | None = None
    coverage_mm: float | None = None
    repetition_ms: Range | None = None
    echo_ms: Range | None = None
    inversion_ms: Range | None = None
    b_values: tuple[tuple[float, float], ...] = ()


class Sequence(Wanted):
    """What the series in one role should be like, beside what all should."""

    role: str


class Protocol(_Part):
    """A protocol: the sequences that have to be there, and what they should be like."""

    name: str
    title: str
    field_strength_t: float | None = None
    common: Wanted
    sequences: tuple[Sequence, ...]

    def wanted(self, sequence: Sequence) -> Wanted:
        """What is asked of a sequence: its own, and where it says nothing what is asked of all."""
        own = {name: getattr(sequence, name) for name in Wanted.model_fields if name in sequence.model_fields_set}
        return self.common.model_copy(update=own)


@cache
def load_protocol(name: str) -> Protocol:
    """A protocol that ships with Nightjar.

    Raises:
        InvalidCard: there is none of this name, or its file is wrong.
    """
    return read_part(Path(__file__).parent / f"{name}.yaml", Protocol, whole="protocol")
