"""How a card describes a network that runs in windows (`sliding` in model.yaml)."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Positive = Annotated[float, Field(gt=0)]
Edge = Annotated[int, Field(ge=1)]
Axes = Annotated[str, StringConstraints(pattern=r"^[LRAPSI]{3}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Intensity(_Part):
    """How an input's values become the network's.

    `window`: cut to low and high, then (value - centre) / scale. `zscore`: less its mean, by its standard deviation,
    over the whole image or over what is not zero. `none`: as they are.
    """

    rule: Literal["window", "zscore", "none"]
    low: float | None = None
    high: float | None = None
    centre: float = 0.0
    scale: Positive = 1.0
    nonzero: bool = False


class Sliding(_Part):
    """A network that runs over the image in windows.

    Attributes:
        axes: where the network's three axes lead, such as SPL: to the patient's head, back and left.
        spacing_mm: of the network's grid, in the order of its axes; null: as acquired.
        patch: the window, in the order of the axes; two numbers are a network that sees slices across the first axis.
        overlap: share of a window that its neighbour covers as well.
        intensity: one for each input of the card, in its order; they are the network's channels.
        interpolation: how images are brought to `spacing_mm`.
        output: softmax: a channel for the background, then one a label; sigmoid: one a label, later ones on top.
        background: at or below this value of the first input there is nothing to see; windows without more are skipped.
        mirror: axes of the network along which it is also asked mirrored; the answers are averaged.
        smallest_ml: connected pieces of a label below this volume are left out.
    """

    axes: Axes
    spacing_mm: tuple[Positive | None, Positive | None, Positive | None] = (None, None, None)
    patch: Annotated[tuple[Edge, ...], Field(min_length=2, max_length=3)]
    overlap: float = Field(0.5, ge=0, lt=1)
    intensity: tuple[Intensity, ...] = Field(min_length=1)
    interpolation: Literal["linear", "cubic"] = "linear"
    output: Literal["softmax", "sigmoid"] = "softmax"
    background: float | None = None
    mirror: tuple[Annotated[int, Field(ge=0, le=2)], ...] = ()
    smallest_ml: float = Field(0, ge=0)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if len({"LR" if axis in "LR" else "AP" if axis in "AP" else "SI" for axis in self.axes}) < 3:
            raise ValueError(f"axes {self.axes}: each direction once, such as SPL")
        if len(self.patch) == 2 and 0 in self.mirror:
            raise ValueError("mirror: a network that sees slices cannot be asked along the first axis")
        return self

    @property
    def window(self) -> tuple[int, int, int]:
        """The patch with three axes."""
        first, *rest = self.patch
        return (1, first, rest[0]) if len(self.patch) == 2 else (first, rest[0], rest[1])
