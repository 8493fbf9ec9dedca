"""What the encoders are given: one model's answer, the images it is about, and words for its labels."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from models.card import SIGN
from models.prediction import Finding, ModelIdentity, Urgency
from services.results.uids import ResultUIDs

NOTICE = "Research use only. Prioritisation only. Not for diagnosis."
NO_FLAG = "No flag raised"
MANUFACTURER = "Nightjar"


@dataclass(frozen=True)
class Concept:
    """A coded concept (PS3.3 8.8), such as 12738006 of SCT, "Brain"."""

    value: str
    scheme: str
    meaning: str


BRAIN = Concept("12738006", "SCT", "Brain")


@dataclass(frozen=True)
class Label:
    """One kind of voxel a model marks.

    Attributes:
        value: of its voxels in the model's array.
        name: as in the model's card and the findings, such as "IPH".
        code: what it is.
        colour: 8-bit sRGB.
    """

    value: int
    name: str
    code: Concept
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class StudyMeasurement:
    """One figure of the study, beside its findings.

    Attributes:
        name: as in the model's card, such as "midline shift".
        unit: UCUM; of a sign, whose value is 1 (present) or 0 (absent), models.card.SIGN.
        answer: of a choice, what was chosen.
        site: where it is measured; None: where the answer looked.
    """

    name: str
    code: Concept
    value: float
    unit: str
    answer: Concept | None = None
    site: Concept | None = None

    @property
    def is_sign(self) -> bool:
        return self.unit == SIGN


@dataclass(frozen=True)
class Predecessor:
    """An object written earlier that a new one replaces."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, eq=False)
class Answer:
    """One model's answer to one series, or to several that belong together, ready to be written.

    Attributes:
        sources: headers of the source images (see `services.results.sources`), in the order of the slices; a frame of a
            multi-frame image has one of its own (see `services.results.frames`).
        further: headers of the images of the model's other inputs; they are evidence, the voxels lie on `sources`.
        segmentation: uint8, axes (slice, row, column), on the source images' own grid; values are the labels'.
        measurements: of the study, in the order of the card; only those that could be taken.
        image: of a model that makes images: float32 on the grid of `segmentation`, in the sources' units.
        finer: pixels a side that such an image is written with, times those of its sources.
        analysed_at: when the answer was committed, with a time zone; the objects are dated by it.
        parameters: what shaped the answer, such as the operating point.
    """

    sources: tuple[Dataset, ...]
    segmentation: NDArray[np.uint8]
    labels: tuple[Label, ...]
    findings: tuple[Finding, ...]
    urgency: Urgency
    model: ModelIdentity
    input_digest: str
    analysed_at: datetime
    measurements: tuple[StudyMeasurement, ...] = ()
    parameters: dict[str, float | str] = field(default_factory=dict)
    institution: str = ""
    site: Concept = BRAIN
    predecessors: tuple[Predecessor, ...] = ()
    further: tuple[Dataset, ...] = ()
    image: NDArray[np.float32] | None = None
    finer: int = 1

    @property
    def uids(self) -> ResultUIDs:
        return ResultUIDs(self.input_digest, self.model)

    @cached_property
    def segments(self) -> dict[int, Label]:
        """Labels that have voxels, by the number of their segment (1-based, in order of value)."""
        return number_segments(self.labels, self.segmentation)

    @property
    def algorithm_name(self) -> str:
        return algorithm_name(self.model)

    @property
    def algorithm_parameters(self) -> dict[str, str]:
        """The weights' digest first, then what shaped the answer."""
        return weights_of(self.model) | {name: str(value) for name, value in sorted(self.parameters.items())}

    def label(self, name: str) -> Label:
        return next(label for label in self.labels if label.name == name)


def number_segments(labels: Iterable[Label], voxels: NDArray[np.uint8]) -> dict[int, Label]:
    """Labels that have voxels, by the number of their segment (1-based, in order of value)."""
    marked = sorted((label for label in labels if (voxels == label.value).any()), key=lambda label: label.value)
    return dict(enumerate(marked, start=1))


def algorithm_name(model: ModelIdentity) -> str:
    """What objects call a model."""
    return f"{MANUFACTURER} {model.name}"


def weights_of(model: ModelIdentity) -> dict[str, str]:
    """The parameter that says which weights answered."""
    return {"weights": f"sha256:{model.weights_digest}"}
