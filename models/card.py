"""A model's card (model.yaml): everything the services need to know of it, and everything a reader should."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, StringConstraints, ValidationError, model_validator

from models.engines import Terms
from models.errors import InvalidCard
from models.prediction import Urgency
from models.sliding.settings import Sliding

NETWORK = "network"
"""The method of a model that has others besides."""

SIGN = "{sign}"
"""Unit of a measure that is no quantity but a sign."""

CHOICE = "{choice}"
"""Unit of a measure that is no quantity but one of several answers."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Probability = Annotated[float, Field(ge=0, le=1)]
Described = TypeVar("Described", bound=BaseModel)
Colour = tuple[
    Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)]
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


class Input(_Part):
    """A series the model reads, by the role that routing gives it."""

    role: str
    modality: str
    optional: bool = False
    planes: Literal["axial", "any"] = "axial"


class Code(_Part):
    """A coded concept (PS3.3 8.8)."""

    value: str
    scheme: str = "SCT"
    meaning: str


class OperatingPoint(_Part):
    """What makes a label a finding: both limits must be reached."""

    probability: Probability
    volume_ml: float = Field(ge=0)


class Calibration(_Part):
    """Platt scaling of a label's study probability: a line on the logit scale. The default changes nothing."""

    slope: float = Field(1, gt=0, allow_inf_nan=False)
    """Above zero: calibration never changes which of two studies is the more suspicious."""
    intercept: float = Field(0, allow_inf_nan=False)


class UrgencyRule(_Part):
    """From which volume a finding is immediate or urgent, mL; below both it is standard."""

    immediate_ml: float = Field(ge=0)
    urgent_ml: float = Field(0, ge=0)

    def of(self, volume_ml: float) -> Urgency:
        """How soon somebody should look."""
        if volume_ml >= self.immediate_ml:
            return Urgency.IMMEDIATE
        return Urgency.URGENT if volume_ml >= self.urgent_ml else Urgency.STANDARD


SignWeights = tuple[float, float, float, float]
"""An offset and three slopes of a logistic function."""


class Evidence(_Part):
    """How much the signs for a label weigh in its probabilities: an offset and three weights each."""

    slice: SignWeights
    study: SignWeights


class LabelCard(_Part):
    """One kind of voxel the model marks."""

    value: int = Field(ge=1, le=255)
    name: str
    meaning: str
    code: Code
    colour: Colour
    operating_point: OperatingPoint
    """Its probability is the calibrated one."""
    urgency: UrgencyRule
    calibration: Calibration = Calibration()
    evidence: Evidence | None = None
    threshold: Probability | None = None
    """Voxels this probable are marked; None: those whose most probable label it is."""
    minimum_hu: float | None = None
    """Components with a lower median density, measured away from bone, are no blood; None: not looked at."""


class Measure(_Part):
    """One figure the model reports of a study, beside its findings."""

    name: str
    unit: str
    """UCUM; SIGN for what is present (1) or absent (0), CHOICE for one of the answers, which its value numbers."""
    meaning: str
    code: Code
    answers: tuple[Code, ...] = ()
    """Of a choice, the first one's number is 0."""
    site: Code | None = None
    """Where it is measured, if not in all of the brain."""

    @model_validator(mode="after")
    def _choices_have_answers(self) -> Self:
        if (self.unit == CHOICE) != bool(self.answers):
            raise ValueError(f"a measure has answers if, and only if, its unit is {CHOICE}")
        return self

    def answer(self, value: float) -> Code | None:
        """What a value of a choice stands for; None for what is none."""
        return self.answers[round(value)] if self.answers else None


class Preprocess(_Part):
    """How images become the network's input. Attributes carry their units; windows are HU for CT."""

    spacing_mm: float = Field(gt=0)
    size: int = Field(gt=0)
    slab_mm: float = Field(gt=0)
    window: tuple[float, float]
    centre: float
    scale: float
    neighbours: tuple[int, ...] = (-1, 0, 1)
    """The slabs shown together, by their places above the one that is asked about."""


class Weights(_Part):
    """What the model decides by, a file beside the card, and its SHA-256: a network (.onnx) or a rule's numbers."""

    file: str
    sha256: Digest


class Measurement(_Part):
    """One figure: what was measured, on what, and what it was."""

    what: str
    on: str
    value: str


class Lineage(_Part):
    """What a version was made from by fine-tuning: the version it goes on from, and the release it learned from."""

    parent: str
    parent_sha256: Digest
    release: str
    release_sha256: Digest
    """Of its release.json, which has a digest of every other file."""
    cases: int
    replayed: int = 0
    """Synthetic cases mixed in."""


class Card(_Part):
    """A model as the rest of Nightjar knows it."""

    name: str
    version: str
    task: str
    intended_use: str
    priority: int
    inputs: tuple[Input, ...] = Field(min_length=1)
    fewest: int = Field(0, ge=0)
    """So many of the inputs are needed, whichever they are; 0: those alone that are not optional."""
    labels: tuple[LabelCard, ...] = ()
    """None for a model that makes images."""
    output: Literal["marks", "image"] = "marks"
    regions: dict[str, tuple[int, ...]] = {}
    """Unions of labels, by their values, that evaluation scores lesion by lesion (BraTS 2023)."""
    measures: tuple[Measure, ...] = ()
    network_input: Preprocess | None = Field(None, alias="preprocess")
    """None for a model that is no network."""
    sliding: Sliding | None = None
    """How a network runs that has no code of its own."""
    batch: int = Field(8, ge=1)
    tolerance: float = Field(1e-3, gt=0)
    """How far an engine's answer may be from ONNX Runtime's, both in float32."""
    half_tolerance: float | None = Field(None, gt=0)
    """Likewise of the network in float16, as GPUs with TensorRT then run it; None: they run it in float32."""
    free_axes: tuple[tuple[PositiveInt, PositiveInt, PositiveInt], ...] = ()
    """Smallest, usual and largest size of the last axes, for those that the network leaves free: GPUs want to know."""
    weights: Weights
    baselines: dict[str, Weights] = {}
    """Other methods than the network that the model can answer by, and what each decides by."""
    limits: tuple[str, ...]
    measured: tuple[Measurement, ...]
    lineage: Lineage | None = None
    """None for a version that was trained from the beginning."""

    @model_validator(mode="after")
    def _marks_have_labels(self) -> Self:
        if (self.output == "marks") != bool(self.labels):
            raise ValueError("a model that marks voxels has labels, and one that makes images has none")
        return self

    @model_validator(mode="after")
    def _windows_fit(self) -> Self:
        if self.sliding is None:
            return self
        if len(self.sliding.intensity) != len(self.inputs) or any(entry.optional for entry in self.inputs):
            raise ValueError("sliding: one intensity for each input, and no input is optional")
        if self.output != "marks":
            raise ValueError("sliding: a network that runs in windows marks voxels")
        return self

    @model_validator(mode="after")
    def _regions_are_of_labels(self) -> Self:
        known = {label.value for label in self.labels}
        strange = [name for name, values in self.regions.items() if not values or not known.issuperset(values)]
        if strange:
            raise ValueError(f"regions: {', '.join(strange)} is of values that no label has")
        return self

    @model_validator(mode="after")
    def _no_two_alike(self) -> Self:
        for what, values in (
            ("roles", [entry.role for entry in self.inputs]),
            ("label names", [label.name for label in self.labels]),
            ("measure names", [measure.name for measure in self.measures]),
            ("label values", [label.value for label in self.labels]),
        ):
            if len(set(values)) < len(values):
                raise ValueError(f"two {what} are the same")
        return self

    @model_validator(mode="after")
    def _axes_grow(self) -> Self:
        if any(sorted(axis) != list(axis) for axis in self.free_axes):
            raise ValueError("free_axes: smallest, usual and largest size of each, in this order")
        return self

    @property
    def preprocess(self) -> Preprocess:
        """How images become the network's input.

        Raises:
            InvalidCard: the model is no network.
        """
        if self.network_input is None:
            raise InvalidCard(f"The card of {self.name} lacks preprocess, which its network needs.")
        return self.network_input

    @property
    def terms(self) -> Terms:
        """What engines on a GPU are told of the network."""
        patch = () if self.sliding is None else self.sliding.patch
        axes = self.free_axes or tuple((size, size, size) for size in patch)
        return Terms(self.batch, self.tolerance, self.half_tolerance, axes)

    def using(self, method: str) -> "Card":
        """The card of a method; a baseline's version says so ("0.2.0+adc620"): other answers are other results.

        Operating points are the network's: a baseline flags what is more probable than not.

        Raises:
            InvalidCard: the model knows no such method.
        """
        if method == NETWORK and self.network_input is not None:
            return self
        if method not in self.baselines:
            known = [*([NETWORK] if self.network_input is not None else []), *self.baselines]
            raise InvalidCard(f"{self.name} knows no method {method}; it has {' and '.join(known)}.")
        labels = tuple(
            label.model_copy(update={"operating_point": label.operating_point.model_copy(update={"probability": 0.5})})
            for label in self.labels
        )
        return self.model_copy(
            update={"weights": self.baselines[method], "version": f"{self.version}+{method}", "labels": labels}
        )

    @property
    def reference(self) -> Input:
        """The input whose grid the answer is on, where all are given."""
        return self.inputs[0]

    def reference_of(self, roles: Collection[str]) -> Input:
        """The input whose grid the answer is on: the first that is among the given ones."""
        return next((entry for entry in self.inputs if entry.role in roles), self.reference)

    def lacks(self, roles: Collection[str]) -> list[str]:
        """What must be given besides these; where the fewest are not there, any of those named."""
        missing = [entry.role for entry in self.inputs if not entry.optional and entry.role not in roles]
        known = [entry.role for entry in self.inputs]
        if not missing and sum(role in roles for role in known) < self.fewest:
            return [role for role in known if role not in roles]
        return missing

    def label(self, name: str) -> LabelCard:
        return next(label for label in self.labels if label.name == name)


def read_card(path: Path) -> Card:
    """Read a model.yaml.

    Raises:
        InvalidCard: a line for each thing that is wrong.
    """
    return read_part(path, Card, whole="card")


def read_part(path: Path, kind: type[Described], *, whole: str, advice: str = "") -> Described:
    """Read a YAML file as what it describes.

    Args:
        whole: what a message calls the file itself, where no single entry is wrong.
        advice: what to do when the file cannot be read, after a space.

    Raises:
        InvalidCard: a line for each thing that is wrong.
    """
    try:
        return kind.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidCard(f"{path}: {error.strerror}.{advice}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidCard(f"{path}: this is not YAML.") from error
    except ValidationError as error:
        problems = (f"{path}: {'.'.join(map(str, p['loc'])) or whole}: {p['msg']}." for p in error.errors())
        raise InvalidCard("\n".join(problems)) from error
