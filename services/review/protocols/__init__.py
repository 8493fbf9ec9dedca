"""What consensus papers ask of an acquisition, as data: one YAML file a protocol."""

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from models.card import read_part

Range = tuple[float | None, float | None]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Wanted(_Part):
    """What a series should be like; None: anything. Ranges are closed, b-values s/mm2, the matrix in either order.

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
